// One thread that loads a model and runs it: never the one that draws.
package com.example.vgg

import android.content.Context
import java.io.File
import java.nio.ByteBuffer
import java.nio.channels.FileChannel
import java.util.concurrent.ExecutorService
import java.util.concurrent.Executors

class Worker(private val context: Context, val bundle: Bundle) : AutoCloseable {
    val executor: ExecutorService = Executors.newSingleThreadExecutor()

    /** Opens a model of the bundle; call it on [executor], and close there what it gives. */
    fun open(name: String): Classifier {
        val description = bundle.model(name)
        if (name.endsWith(".tflite")) {
            return LiteRtClassifier(mapped("bundle/$name"), description)
        }
        return OnnxClassifier(copied(name).path, description)
    }

    /** An asset as it lies in the APK: pages are read when they are used, and dropped under pressure. */
    private fun mapped(asset: String): ByteBuffer = context.assets.openFd(asset).use { file ->
        file.createInputStream().use {
            it.channel.map(FileChannel.MapMode.READ_ONLY, file.startOffset, file.declaredLength)
        }
    }

    /** ONNX Runtime opens paths: the asset is copied once for each version of the app, the last alone. */
    private fun copied(name: String): File {
        val versions = File(context.noBackupFilesDir, "bundle")
        val version = File(versions, BuildVersion.of(context).toString())
        val file = File(version, name)
        if (!file.exists()) {
            versions.listFiles()?.filter { it != version }?.forEach { it.deleteRecursively() }
            file.parentFile?.mkdirs()
            val part = File(file.path + ".part")
            context.assets.open("bundle/$name").use { from -> part.outputStream().use { from.copyTo(it) } }
            check(part.renameTo(file)) { "${file.path} cannot be written" }
        }
        return file
    }

    /** Takes no more work; what was handed over before is done. */
    override fun close() = executor.shutdown()
}

private object BuildVersion {
    fun of(context: Context): Long =
        context.packageManager.getPackageInfo(context.packageName, 0).lastUpdateTime
}
