// Open this folder in Android Studio, or run "gradle installDebug" with Gradle 8.13 or later.
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
