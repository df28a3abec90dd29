// From an image file to rows of pixels, as the step "decode" of preprocessing.json describes it:
// upright, in sRGB, on a background. A bitmap takes 4 bytes a pixel, 48 MB for 12 megapixels. A larger
// picture may throw OutOfMemoryError: inSampleSize would fit it, but makes other pixels than the models
// were measured with, and than the golden check asks for.
package com.example.vgg

import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.ColorSpace
import androidx.exifinterface.media.ExifInterface
import java.io.ByteArrayInputStream

/** Decodes JPEG, PNG, WebP …; from Android 8 (API 26), which converts colours. */
fun decodePicture(
    data: ByteArray,
    isUpright: Boolean = true,
    background: IntArray = intArrayOf(255, 255, 255),
): Picture {
    val options = BitmapFactory.Options().apply {
        inPreferredConfig = Bitmap.Config.ARGB_8888
        inPreferredColorSpace = ColorSpace.get(ColorSpace.Named.SRGB)
        inPremultiplied = false
        inScaled = false
    }
    val bitmap = requireNotNull(BitmapFactory.decodeByteArray(data, 0, data.size, options)) {
        "not an image that Android decodes"
    }
    val normal = ExifInterface.ORIENTATION_NORMAL
    val exif = ExifInterface(ByteArrayInputStream(data))
    val stated = exif.getAttributeInt(ExifInterface.TAG_ORIENTATION, normal)
    return Picture(bitmap, if (isUpright) Orientation.ofExif(stated) else Orientation.NONE, background)
}

/** A bitmap as it is to be seen, read a row at a time. */
class Picture(
    private val bitmap: Bitmap,
    private val orientation: Orientation,
    private val background: IntArray,
) : Rows {
    override val width = if (orientation.swaps) bitmap.height else bitmap.width
    override val height = if (orientation.swaps) bitmap.width else bitmap.height
    private val colours = IntArray(width)

    override fun read(y: Int, into: ByteArray) {
        val line = if (orientation.fromEnd) height - 1 - y else y
        if (orientation.swaps) {
            bitmap.getPixels(colours, 0, 1, line, 0, 1, width)
        } else {
            bitmap.getPixels(colours, 0, width, 0, line, width, 1)
        }
        if (orientation.mirrors) colours.reverse()
        colours.forEachIndexed { x, colour -> composite(colour, into, 3 * x) }
    }

    private fun composite(colour: Int, into: ByteArray, at: Int) {
        val alpha = colour ushr 24
        for (channel in 0 until 3) {
            val level = (colour shr (16 - 8 * channel)) and 0xFF
            val mixed = (level * alpha + background[channel] * (255 - alpha) + 127) / 255
            into[at + channel] = mixed.toByte()
        }
    }
}
