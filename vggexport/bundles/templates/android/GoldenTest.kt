// gradle connectedDebugAndroidTest: every model of the bundle on this device, held to its answers.
package com.example.vgg

import androidx.test.ext.junit.runners.AndroidJUnit4
import androidx.test.platform.app.InstrumentationRegistry
import org.junit.Assert.assertEquals
import org.junit.Test
import org.junit.runner.RunWith

@RunWith(AndroidJUnit4::class)
class GoldenTest {
    private val instrumentation = InstrumentationRegistry.getInstrumentation()

    @Test
    fun everyModelAnswersAsWhereItWasPacked() {
        val app = instrumentation.targetContext
        val bundle = Bundle(app.assets, "bundle", instrumentation.context.assets)
        Worker(app, bundle).use { worker ->
            for (name in bundle.modelNames) {
                // LiteRtClassifier turns XNNPACK on.
                val device = if (name.endsWith(".tflite")) "cpu-xnnpack" else "cpu"
                val problems = worker.open(name).use { bundle.problems(name, it, device) }
                assertEquals(emptyList<String>(), problems)
            }
        }
    }
}
