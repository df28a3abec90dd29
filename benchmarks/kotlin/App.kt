// Declarations of what the examples use of Android's activities; nothing of it runs.
package android.app

import android.content.Context
import android.content.Intent
import android.os.Bundle
import android.view.View

open class Activity : Context() {
    protected open fun onCreate(savedInstanceState: Bundle?): Unit = TODO()

    protected open fun onActivityResult(requestCode: Int, resultCode: Int, data: Intent?): Unit = TODO()

    protected open fun onDestroy(): Unit = TODO()

    fun setContentView(view: View): Unit = TODO()

    fun startActivityForResult(intent: Intent, requestCode: Int): Unit = TODO()

    fun runOnUiThread(action: Runnable): Unit = TODO()
}
