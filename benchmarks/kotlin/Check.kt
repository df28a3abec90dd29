// Runs the examples' preprocessing and golden check: FOLDER MODE COVER_HEIGHT COVER_WIDTH HEIGHT WIDTH
// INTERPOLATION RED GREEN BLUE, pairs as a bundle's.
import com.example.vgg.GoldenCheck
import com.example.vgg.Orientation
import com.example.vgg.Part
import com.example.vgg.Plane
import com.example.vgg.RgbaFrame
import com.example.vgg.Rows
import com.example.vgg.YuvFrame
import com.example.vgg.best
import com.example.vgg.Pixels
import com.example.vgg.Preprocessing
import com.example.vgg.Tolerance
import java.io.File
import javax.imageio.ImageIO

fun read(file: File): Pixels {
    val image = ImageIO.read(file)
    val rgb = ByteArray(3 * image.width * image.height)
    for (y in 0 until image.height) for (x in 0 until image.width) {
        val colour = image.getRGB(x, y)
        for (channel in 0 until 3) {
            rgb[3 * (y * image.width + x) + channel] = (colour shr (16 - 8 * channel)).toByte()
        }
    }
    return Pixels(image.width, image.height, rgb)
}

fun reds(frame: Rows): List<List<Int>> = List(frame.height) { y ->
    val row = ByteArray(3 * frame.width).also { frame.read(y, it) }
    List(frame.width) { x -> row[3 * x].toInt() }
}

fun main(arguments: Array<String>) {
    val (coverHeight, coverWidth, height, width) = arguments.slice(2..5).map(String::toInt)
    val background = IntArray(3) { arguments[7 + it].toInt() }
    val steps = Preprocessing(
        arguments[1], coverHeight, coverWidth, height, width, arguments[6], background
    )
    for (name in listOf("landscape", "portrait", "small")) {
        val expected = read(File(arguments[0], "${name}_prepared.png"))
        val actual = steps.apply(read(File(arguments[0], "$name.png")))
        println("$name: ${GoldenCheck.levels(expected, actual)} levels off")
    }
    val answers = listOf(floatArrayOf(0.7f, 0.2f, 0.1f))
    val others = listOf(floatArrayOf(0.2f, 0.7f, 0.1f))
    val tolerance = Tolerance(1e-4, 80.0, 6.0, 12.0, 45.0)
    println("the same answers: ${GoldenCheck.problems(answers, answers, tolerance, false).size} problems")
    println("other answers: ${GoldenCheck.problems(answers, others, tolerance, false).size} problems")
    val none = listOf(FloatArray(0))
    // A frame of 3x2 whose reds are 0 to 5, as each value of EXIF's orientation has it upright.
    val frame = Plane(java.nio.ByteBuffer.wrap(ByteArray(24) { (it / 4).toByte() }), 12, 4)
    for (value in 1..8) {
        println("orientation $value: ${reds(RgbaFrame(frame, Part(0, 0, 3, 2), Orientation.ofExif(value)))}")
    }
    println("part: ${reds(RgbaFrame(frame, Part(1, 0, 2, 2), Orientation.TURNED_90))}")
    // Red, green and blue of ITU-R BT.601 at full range, the planes a pixel each.
    for (yuv in listOf(listOf(76, 85, 255), listOf(150, 44, 21), listOf(29, 255, 107))) {
        val planes = yuv.map { Plane(java.nio.ByteBuffer.wrap(byteArrayOf(it.toByte())), 1, 1) }
        val row = ByteArray(3)
        YuvFrame(planes[0], planes[1], planes[2], Part(0, 0, 1, 1), Orientation.NONE).read(0, row)
        println("yuv $yuv: ${row.map { it.toInt() and 0xFF }}")
    }
    println("best: ${best(floatArrayOf(0.1f, 0.7f, 0.2f), listOf("a", "b", "c"), 2).map { it.label }}")
    println("no answer: ${GoldenCheck.problems(answers, none, tolerance, false).size} problem")
}
