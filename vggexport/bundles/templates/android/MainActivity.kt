// Classifies a photograph that the user picks with the bundle's first model.
package com.example.vgg

import android.app.Activity
import android.content.Intent
import android.net.Uri
import android.os.Bundle as State
import android.widget.Button
import android.widget.LinearLayout
import android.widget.TextView

class MainActivity : Activity() {
    private lateinit var worker: Worker
    private lateinit var answer: TextView
    private var classifier: Classifier? = null

    override fun onCreate(savedInstanceState: State?) {
        super.onCreate(savedInstanceState)
        worker = Worker(this, Bundle(assets, "bundle"))
        answer = TextView(this)
        val pick = Button(this).apply {
            text = "Pick a photograph"
            setOnClickListener {
                val intent = Intent(Intent.ACTION_GET_CONTENT).setType("image/*")
                startActivityForResult(intent, PICK)
            }
        }
        setContentView(
            LinearLayout(this).apply {
                orientation = LinearLayout.VERTICAL
                addView(pick)
                addView(answer)
            }
        )
    }

    @Deprecated("Deprecated in Java")
    override fun onActivityResult(requestCode: Int, resultCode: Int, data: Intent?) {
        super.onActivityResult(requestCode, resultCode, data)
        val uri = data?.data ?: return
        worker.executor.execute {
            val said = try {
                classify(uri).joinToString("\n") { "%.1f %% %s".format(100 * it.probability, it.label) }
            } catch (error: Exception) {
                error.message ?: error.toString()
            } catch (error: OutOfMemoryError) {
                "The picture is too large for this device: 4 bytes a pixel do not fit its memory."
            }
            runOnUiThread { answer.text = said }
        }
    }

    private fun classify(uri: Uri): List<Ranked> {
        val bundle = worker.bundle
        val open = classifier ?: worker.open(bundle.modelNames.first()).also { classifier = it }
        val data = requireNotNull(contentResolver.openInputStream(uri)).use { it.readBytes() }
        val picture = decodePicture(data, bundle.isUpright, bundle.background)
        return best(open.probabilities(bundle.preprocessing.apply(picture)), bundle.labels)
    }

    override fun onDestroy() {
        worker.executor.execute { classifier?.close() }
        worker.close()
        super.onDestroy()
    }

    private companion object {
        const val PICK = 1
    }
}
