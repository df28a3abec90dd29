// Declarations of what the examples use of JUnit; nothing of it runs.
package org.junit

annotation class Test

object Assert {
    @JvmStatic fun assertEquals(expected: Any?, actual: Any?): Unit = TODO()

    @JvmStatic fun assertTrue(message: String, condition: Boolean): Unit = TODO()
}
