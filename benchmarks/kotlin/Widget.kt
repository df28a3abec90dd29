// Declarations of what the examples use of Android's widgets; nothing of it runs.
package android.widget

import android.content.Context
import android.view.View

open class TextView(context: Context) : View() {
    var text: CharSequence = ""
}

class Button(context: Context) : TextView(context)

class LinearLayout(context: Context) : View() {
    var orientation = 0

    fun addView(view: View): Unit = TODO()

    companion object {
        const val VERTICAL = 1
    }
}
