// The bundle among an app's assets: its images, its descriptions, its golden answers.
package com.example.vgg

import android.content.res.AssetManager
import java.nio.ByteBuffer
import org.json.JSONArray
import org.json.JSONObject

/** An input or output of a model. Real value = scale * (integer - zero point) where it has one. */
class TensorDescription(json: JSONObject) {
    val name: String = json.getString("name")
    val dtype: String = json.getString("dtype")

    /** Of its last axis: of an output, the number of probabilities. */
    val size: Int = json.getJSONArray("shape").let { it.getInt(it.length() - 1) }
    val scale: Float?
    val zeroPoint: Int

    init {
        val quantization = json.optJSONObject("quantization")
        scale = quantization?.getDouble("scale")?.toFloat()
        zeroPoint = quantization?.getInt("zero_point") ?: 0
    }
}

class ModelDescription(json: JSONObject) {
    val input = TensorDescription(json.getJSONObject("input"))
    val output = TensorDescription(json.getJSONObject("output"))
}

/**
 * A bundle that was unpacked into a folder of the assets; its folder "golden", which only tests read,
 * may be in that folder of other assets.
 */
class Bundle(
    private val assets: AssetManager,
    private val folder: String,
    private val goldenAssets: AssetManager = assets,
) {
    private val description = json("preprocessing.json")
    private val golden by lazy { json("golden/golden.json") }

    val preprocessing: Preprocessing
        get() {
            val steps = objects(description.getJSONArray("steps")).associateBy { it.getString("step") }
            val resize = steps.getValue("resize")
            val target = steps["crop"] ?: resize
            val background = resize.optJSONArray("background")
            // Of a square, the length of the shorter side stands for both.
            return Preprocessing(
                resize.optString("mode", "crop"),
                resize.optInt(if (resize.has("short_side")) "short_side" else "cover_height"),
                resize.optInt(if (resize.has("short_side")) "short_side" else "cover_width"),
                target.getInt("height"),
                target.getInt("width"),
                resize.getString("interpolation"),
                IntArray(3) { background?.getInt(it) ?: 255 },
            )
        }

    /** Whether pictures are turned as EXIF says. */
    val isUpright: Boolean
        get() = decode.getString("orientation") != "as it lies"

    /** RGB, behind what is transparent. */
    val background: IntArray
        get() = decode.optJSONArray("background").let { rgb -> IntArray(3) { rgb?.getInt(it) ?: 255 } }

    private val decode: JSONObject
        get() = objects(description.getJSONArray("steps")).first { it.getString("step") == "decode" }

    val labels: List<String>
        get() = text("labels.txt").lines().filter { it.isNotEmpty() }

    /** Models that these examples run: .tflite, .onnx and .ort. */
    val modelNames: List<String>
        get() = objects(json("MANIFEST.json").getJSONArray("artifacts"))
            .map { it.getJSONObject("artifact").getString("path") }
            .filter { name -> listOf(".tflite", ".onnx", ".ort").any { name.endsWith(it) } }

    fun model(name: String) =
        ModelDescription(description.getJSONObject("models").getJSONObject(name))

    fun bytes(name: String): ByteArray {
        val found = if (name.startsWith("golden/")) goldenAssets else assets
        return found.open("$folder/$name").use { it.readBytes() }
    }

    /** Frames of a camera, each with the pixels that it must become. */
    val frames: List<GoldenFrame>
        get() = objects(golden.getJSONArray("frames")).map { frame ->
            val data = bytes(frame.getString("file"))
            GoldenFrame(
                frame.getInt("width"),
                frame.getInt("height"),
                listOf("y", "u", "v").map { plane(data, frame.getJSONObject(it)) },
                YuvColours(frame.getString("range"), frame.getString("matrix")),
                frame.getInt("rotation_degrees"),
                image(frame.getString("rgb")),
                frame.getInt("tolerance_levels"),
            )
        }

    private fun plane(data: ByteArray, json: JSONObject): Plane {
        val offset = json.getInt("offset")
        val own = ByteBuffer.wrap(data, offset, data.size - offset).slice()
        return Plane(own, json.getInt("row_stride"), json.getInt("pixel_stride"))
    }

    /**
     * What is wrong with the preprocessing and with one model. [device] is "cpu", "cpu-xnnpack" where
     * XNNPACK runs the model (models without tolerances of their own there keep those of "cpu"), or
     * "accelerator" behind a delegate.
     */
    fun problems(name: String, classifier: Classifier, device: String): List<String> =
        preprocessingProblems() + answerProblems(name, classifier, device)

    private fun preprocessingProblems(): List<String> {
        val allowed = description.getInt("tolerance_levels")
        return objects(golden.getJSONArray("preprocessing")).mapNotNull { pair ->
            val picture = decodePicture(bytes(pair.getString("file")), isUpright, background)
            val actual = preprocessing.apply(picture)
            val levels = GoldenCheck.levels(image(pair.getString("prepared")), actual)
            if (levels > pair.optInt("tolerance_levels", allowed)) "${pair.getString("file")}: $levels levels off" else null
        }
    }

    private fun answerProblems(name: String, classifier: Classifier, device: String): List<String> {
        val given = objects(golden.getJSONArray("artifacts")).first { it.getString("name") == name }
        val tolerances = objects(given.getJSONArray("tolerances"))
            .associateBy { it.getString("device") }
        val isOwn = device != "cpu-xnnpack" || device in tolerances
        val tolerance = tolerances.getValue(if (isOwn) device else "cpu")
        val limits = Tolerance(
            number(tolerance, "max_abs"),
            number(tolerance, "min_logit_sqnr_db"),
            number(tolerance, "min_sqnr_db"),
            number(tolerance, "min_coarse_logit_sqnr_db"),
            number(tolerance, "min_half_logit_sqnr_db"),
        )
        // Each by itself: the colours of the pictures are vivid, whatever the images are.
        return mapOf("images" to "", "pictures" to "picture_").flatMap { (images, prefix) ->
            val actual = objects(golden.getJSONArray(images))
                .map { classifier.probabilities(image(it.getString("file"))) }
            val expected = rows(given.getJSONArray("${prefix}probabilities"))
            val classes = objects(given.getJSONArray("${prefix}best"))
                .map { BestClass(it.getInt("index"), it.getString("label")) }
            val found = GoldenCheck.problems(expected, actual, limits, endsInSigmoid(name)) +
                GoldenCheck.labelProblems(actual, classes, labels)
            found.map { "$name, $images: $it" }
        }
    }

    private fun endsInSigmoid(name: String): Boolean {
        val models = objects(json("MANIFEST.json").getJSONArray("artifacts"))
        val model = models.map { it.getJSONObject("artifact") }.first { it.getString("path") == name }
        return model.getJSONObject("spec").optString("head_activation") == "sigmoid"
    }

    /** A golden image, which is prepared already. */
    private fun image(name: String): Pixels = decodePicture(bytes(name)).pixels()

    private fun text(name: String) = bytes(name).toString(Charsets.UTF_8)

    private fun json(name: String) = JSONObject(text(name))

    private fun objects(array: JSONArray): List<JSONObject> =
        List(array.length()) { array.getJSONObject(it) }

    private fun rows(array: JSONArray): List<FloatArray> = List(array.length()) { i ->
        val row = array.getJSONArray(i)
        FloatArray(row.length()) { row.getDouble(it).toFloat() }
    }

    private fun number(json: JSONObject, key: String): Double? =
        if (json.isNull(key)) null else json.getDouble(key)
}
