// gradle connectedDebugAndroidTest: frames of a camera and every model of the bundle on this device,
// held to golden pixels and answers.
package com.example.vgg

import androidx.test.ext.junit.runners.AndroidJUnit4
import androidx.test.platform.app.InstrumentationRegistry
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith

@RunWith(AndroidJUnit4::class)
class GoldenTest {
    private val app = InstrumentationRegistry.getInstrumentation().targetContext
    private val tests = InstrumentationRegistry.getInstrumentation().context
    private val bundle = Bundle(app.assets, "bundle", tests.assets)

    @Test
    fun framesBecomeTheGoldenPixels() {
        for (frame in bundle.frames) {
            val levels = GoldenCheck.levels(frame.expected, rows(imageOf(frame), frame.colours).pixels())
            assertTrue("$levels levels off", levels <= frame.toleranceLevels)
        }
    }

    @Test
    fun everyModelAnswersAsWhereItWasPacked() {
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
