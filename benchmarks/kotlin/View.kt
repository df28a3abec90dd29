// A declaration of what the examples use of Android's views; nothing of it runs.
package android.view

open class View {
    fun interface OnClickListener {
        fun onClick(view: View)
    }

    fun setOnClickListener(listener: OnClickListener?): Unit = TODO()
}
