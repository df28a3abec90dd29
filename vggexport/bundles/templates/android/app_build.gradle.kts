plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "com.example.vgg"
    compileSdk = 36

    defaultConfig {
        applicationId = "com.example.vgg"
        minSdk = 26 // Android 8, whose BitmapFactory converts colours to sRGB
        targetSdk = 36
        versionCode = 1
        versionName = "1.0"
        testInstrumentationRunner = "androidx.test.runner.AndroidJUnitRunner"
    }

    buildTypes {
        release {
            isMinifyEnabled = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"), "proguard-rules.pro")
        }
    }

    // A compressed asset cannot be mapped into memory; .tflite is left alone by itself, others are not.
    androidResources { noCompress += listOf("tflite", "onnx", "ort") }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }

    sourceSets["main"].assets.srcDir(layout.buildDirectory.dir("bundled"))
}

kotlin { jvmToolchain(17) }

// The bundle that this folder lies in becomes the app's assets.
val bundled = tasks.register<Sync>("bundled") {
    from(rootDir.resolve("../..")) {
        include("models/**", "golden/**", "preprocessing.json", "labels.txt", "MANIFEST.json")
    }
    into(layout.buildDirectory.dir("bundled/bundle"))
}
tasks.named("preBuild") { dependsOn(bundled) }

dependencies {
    implementation("com.google.ai.edge.litert:litert:1.4.2")
    implementation("com.microsoft.onnxruntime:onnxruntime-android:1.24.3")
    implementation("androidx.exifinterface:exifinterface:1.4.2")
    implementation("androidx.camera:camera-core:1.4.2")
    androidTestImplementation("androidx.test:runner:1.6.2")
    androidTestImplementation("androidx.test.ext:junit:1.2.1")
}
