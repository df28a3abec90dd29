// A declaration of what the examples use of Android's saved states; nothing of it runs.
package android.os

class Bundle
