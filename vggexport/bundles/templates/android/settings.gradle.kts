// Open this folder in Android Studio, or run "gradle installDebug": examples/README.md says with what.
pluginManagement {
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
}

dependencyResolutionManagement {
    repositories {
        google()
        mavenCentral()
    }
}

rootProject.name = "vgg"
include(":app")
