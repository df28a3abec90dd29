// A declaration of what the examples use of Android's addresses; nothing of it runs.
package android.net

abstract class Uri
