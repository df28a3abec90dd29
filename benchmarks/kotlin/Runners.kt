// A declaration of what the examples use of androidx.test; nothing of it runs.
package androidx.test.ext.junit.runners

class AndroidJUnit4
