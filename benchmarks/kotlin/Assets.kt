// A declaration of what the examples use of Android's assets; nothing of it runs.
package android.content.res

class AssetManager {
    fun open(name: String): java.io.InputStream = TODO()
}
