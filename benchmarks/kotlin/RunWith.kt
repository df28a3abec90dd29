// A declaration of what the examples use of JUnit; nothing of it runs.
package org.junit.runner

import kotlin.reflect.KClass

annotation class RunWith(val value: KClass<*>)
