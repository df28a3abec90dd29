// gradle connectedDebugAndroidTest: every model of the bundle on this device, held to its answers.
package com.example.vgg

import androidx.test.ext.junit.runners.AndroidJUnit4
import androidx.test.platform.app.InstrumentationRegistry
import org.junit.Assert.assertEquals
import org.junit.Test
import org.junit.runner.RunWith

@RunWith(AndroidJUnit4::class)
class GoldenTest {
    private val context = InstrumentationRegistry.getInstrumentation().targetContext

    @Test
    fun everyModelAnswersAsWhereItWasPacked() {
        Worker(context, Bundle(context.assets, "bundle")).use { worker ->
            for (name in worker.bundle.modelNames) {
                val problems = worker.bundle.problems(name, worker.open(name), "cpu")
                assertEquals(emptyList<String>(), problems)
            }
        }
    }
}
