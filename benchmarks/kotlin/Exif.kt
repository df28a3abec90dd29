// Declarations of what the examples use of androidx.exifinterface; nothing of it runs.
package androidx.exifinterface.media

class ExifInterface(stream: java.io.InputStream) {
    fun getAttributeInt(tag: String, fallback: Int): Int = TODO()

    companion object {
        const val ORIENTATION_NORMAL = 1
        const val TAG_ORIENTATION = "Orientation"
    }
}
