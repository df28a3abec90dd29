// Declarations of what the examples use of androidx.test; nothing of it runs.
package androidx.test.platform.app

import android.content.Context

class Instrumentation {
    val context: Context get() = TODO()
    val targetContext: Context get() = TODO()
}

object InstrumentationRegistry {
    fun getInstrumentation(): Instrumentation = TODO()
}
