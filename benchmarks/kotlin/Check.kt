// Runs the examples' preprocessing and golden check: FOLDER MODE COVER_HEIGHT COVER_WIDTH HEIGHT WIDTH
// INTERPOLATION RED GREEN BLUE, pairs as a bundle's, and for each of its frames: BUNDLE FILE RGB WIDTH
// HEIGHT RANGE MATRIX DEGREES, and OFFSET ROW_STRIDE PIXEL_STRIDE of its three planes.
import com.example.vgg.BestClass
import com.example.vgg.GoldenCheck
import com.example.vgg.GoldenFrame
import com.example.vgg.Orientation
import com.example.vgg.Part
import com.example.vgg.Plane
import com.example.vgg.RgbaFrame
import com.example.vgg.Rows
import com.example.vgg.YuvColours
import com.example.vgg.YuvFrame
import com.example.vgg.best
import com.example.vgg.imageOf
import com.example.vgg.rows
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

/** A frame of CameraX that has a golden frame's planes, read as it states and as it does not. */
fun frame(told: List<String>) {
    val (folder, file, rgb, range) = listOf(told[0], told[1], told[2], told[5])
    val matrix = told[6]
    val data = File(folder, file).readBytes()
    val planes = told.drop(8).map(String::toInt).chunked(3).map { (offset, rows, pixels) ->
        Plane(java.nio.ByteBuffer.wrap(data, offset, data.size - offset).slice(), rows, pixels)
    }
    val (width, height, degrees) = listOf(told[3], told[4], told[7]).map(String::toInt)
    val otherRange = if (range == "full") "limited" else "full"
    val otherMatrix = if (matrix == "bt601") "bt709" else "bt601"
    for ((as_, by) in listOf(range to matrix, otherRange to matrix, range to otherMatrix)) {
        val golden =
            GoldenFrame(width, height, planes, YuvColours(as_, by), degrees, read(File(folder, rgb)), 0)
        val levels = GoldenCheck.levels(golden.expected, rows(imageOf(golden), golden.colours).pixels())
        println("frame $file as $as_ $by: $levels")
    }
}

/** A picture of any size that takes no memory. */
class Plain(override val width: Int, override val height: Int) : Rows {
    override fun read(y: Int, into: ByteArray) = into.fill(y.toByte())
}

/** Bytes that are asked for to prepare pictures of 12 megapixels, in all. */
fun allocated(interpolation: String) {
    val threads = java.lang.management.ManagementFactory.getThreadMXBean()
    threads as com.sun.management.ThreadMXBean
    val sides = listOf(4000 to 3000, 3000 to 4000, 12000 to 1000, 1000 to 12000, 200 to 60000)
    for (mode in listOf("crop", "part", "stretch", "pad")) for ((width, height) in sides) {
        val steps = Preprocessing(mode, 256, 256, 224, 224, interpolation, IntArray(3))
        val before = threads.getThreadAllocatedBytes(Thread.currentThread().id)
        steps.apply(Plain(width, height))
        val after = threads.getThreadAllocatedBytes(Thread.currentThread().id)
        println("allocated $interpolation $mode ${width}x$height: ${after - before}")
    }
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
        val one = Part(0, 0, 1, 1)
        YuvFrame(planes[0], planes[1], planes[2], one, Orientation.NONE, YuvColours.JFIF).read(0, row)
        println("yuv $yuv: ${row.map { it.toInt() and 0xFF }}")
    }
    println("best: ${best(floatArrayOf(0.1f, 0.7f, 0.2f), listOf("a", "b", "c"), 2).map { it.label }}")
    arguments.drop(10).chunked(17).forEach(::frame)
    listOf("bilinear", "lanczos").forEach(::allocated)
    val named = listOf(BestClass(0, "a"))
    for (labels in listOf(listOf("a", "b", "c"), listOf("b", "c", "a"))) {
        println("labels $labels: ${GoldenCheck.labelProblems(answers, named, labels)}")
    }
    println("no answer: ${GoldenCheck.problems(answers, none, tolerance, false).size} problem")
}
