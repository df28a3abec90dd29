// How a picture lies in its file. Plain Kotlin, without Android.
package com.example.vgg

/**
 * The rows of the upright picture are the stored one's columns if it [swaps] both, counted
 * [fromEnd], each read backwards if it [mirrors].
 */
enum class Orientation(val swaps: Boolean, val fromEnd: Boolean, val mirrors: Boolean) {
    NONE(false, false, false),
    MIRRORED(false, false, true),
    TURNED_180(false, true, true),
    FLIPPED(false, true, false),
    TRANSPOSED(true, false, false),
    TURNED_90(true, false, true),
    TRANSVERSED(true, true, true),
    TURNED_270(true, true, false);

    companion object {
        /** By EXIF's tag 0x0112, 1 to 8. */
        fun ofExif(value: Int): Orientation = values().getOrElse(value - 1) { NONE }

        /** By the degrees clockwise that a camera's frame is to be turned by. */
        fun ofDegrees(degrees: Int): Orientation = when ((degrees % 360 + 360) % 360) {
            90 -> TURNED_90
            180 -> TURNED_180
            270 -> TURNED_270
            else -> NONE
        }
    }
}
