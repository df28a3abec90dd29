// Runs the examples' preprocessing and golden check: FOLDER MODE COVER_HEIGHT COVER_WIDTH HEIGHT WIDTH
// INTERPOLATION RED GREEN BLUE, pairs as a bundle's.
import com.example.vgg.GoldenCheck
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
    val tolerance = Tolerance(1e-4, 80.0, 6.0)
    println("the same answers: ${GoldenCheck.problems(answers, answers, tolerance, false).size} problems")
    println("other answers: ${GoldenCheck.problems(answers, others, tolerance, false).size} problems")
    val none = listOf(FloatArray(0))
    println("no answer: ${GoldenCheck.problems(answers, none, tolerance, false).size} problem")
}
