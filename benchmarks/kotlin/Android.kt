// Declarations of what the examples use of Android's bitmaps; nothing of it runs.
package android.graphics

class Bitmap {
    enum class Config { ARGB_8888 }

    val width: Int get() = TODO()
    val height: Int get() = TODO()

    fun getPixels(
        pixels: IntArray, offset: Int, stride: Int, x: Int, y: Int, width: Int, height: Int,
    ): Unit = TODO()
}

abstract class ColorSpace {
    enum class Named { SRGB }

    companion object {
        @JvmStatic fun get(name: Named): ColorSpace = TODO()
    }
}

object ImageFormat {
    const val YUV_420_888 = 35
}

object PixelFormat {
    const val RGBA_8888 = 1
}

class Rect(
    @JvmField var left: Int,
    @JvmField var top: Int,
    @JvmField var right: Int,
    @JvmField var bottom: Int,
) {
    fun width(): Int = right - left

    fun height(): Int = bottom - top
}

object BitmapFactory {
    class Options {
        @JvmField var inPreferredConfig: Bitmap.Config? = null
        @JvmField var inPreferredColorSpace: ColorSpace? = null
        @JvmField var inPremultiplied = true
        @JvmField var inScaled = true
    }

    fun decodeByteArray(data: ByteArray, offset: Int, length: Int, options: Options): Bitmap? = TODO()
}
