// Declarations of what the examples use of Android's contexts; nothing of it runs.
package android.content

import android.content.pm.PackageManager
import android.content.res.AssetManager
import android.net.Uri

abstract class Context {
    val assets: AssetManager get() = TODO()
    val noBackupFilesDir: java.io.File get() = TODO()
    val packageManager: PackageManager get() = TODO()
    val packageName: String get() = TODO()
    val contentResolver: ContentResolver get() = TODO()
}

class ContentResolver {
    fun openInputStream(uri: Uri): java.io.InputStream? = TODO()
}

class Intent(action: String) {
    val data: Uri? get() = TODO()

    fun setType(type: String): Intent = TODO()

    companion object {
        const val ACTION_GET_CONTENT = "android.intent.action.GET_CONTENT"
    }
}
