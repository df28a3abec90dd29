// A declaration of what the examples use of Android's views; nothing of it runs.
package android.view

open class View {
    fun setOnClickListener(listener: (View) -> Unit): Unit = TODO()
}
