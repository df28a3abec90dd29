import org.jetbrains.kotlin.gradle.dsl.JvmTarget

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

    // Files, since newer Android plugins refuse providers there.
    sourceSets["main"].assets.srcDir(layout.buildDirectory.dir("bundled").get().asFile)
    sourceSets["androidTest"].assets.srcDir(layout.buildDirectory.dir("golden").get().asFile)
}

// Any JDK from 17 on, that of Android Studio among them, compiles for 17: no toolchain is looked for.
kotlin { compilerOptions { jvmTarget = JvmTarget.JVM_17 } }

// The bundle that this folder lies in becomes assets: of the app what it runs with, of the
// instrumented test the golden images and answers, which no release needs.
val bundle = rootDir.resolve("../..")
val bundled = tasks.register<Sync>("bundled") {
    from(bundle) { include("models/**", "preprocessing.json", "labels.txt", "MANIFEST.json") }
    into(layout.buildDirectory.dir("bundled/bundle"))
}
val golden = tasks.register<Sync>("golden") {
    from(bundle) { include("golden/**") }
    into(layout.buildDirectory.dir("golden/bundle"))
}
tasks.named("preBuild") { dependsOn(bundled, golden) }

dependencies {
    implementation("com.google.ai.edge.litert:litert:1.4.2")
    implementation("com.microsoft.onnxruntime:onnxruntime-android:1.24.3")
    implementation("androidx.exifinterface:exifinterface:1.4.2")
    implementation("androidx.camera:camera-core:1.4.2")
    androidTestImplementation("androidx.test:runner:1.6.2")
    androidTestImplementation("androidx.test.ext:junit:1.2.1")
}
