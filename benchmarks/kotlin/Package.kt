// Declarations of what the examples use of Android's packages; nothing of it runs.
package android.content.pm

class PackageInfo {
    @JvmField var lastUpdateTime = 0L
}

abstract class PackageManager {
    abstract fun getPackageInfo(name: String, flags: Int): PackageInfo
}
