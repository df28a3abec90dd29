// Declarations of what the examples use of org.json, which Android has; nothing of it runs.
package org.json

class JSONObject(text: String) {
    fun getString(key: String): String = TODO()
    fun getInt(key: String): Int = TODO()
    fun getDouble(key: String): Double = TODO()
    fun getJSONObject(key: String): JSONObject = TODO()
    fun getJSONArray(key: String): JSONArray = TODO()
    fun optJSONObject(key: String): JSONObject? = TODO()
    fun optJSONArray(key: String): JSONArray? = TODO()
    fun optString(key: String, fallback: String = ""): String = TODO()
    fun optInt(key: String, fallback: Int = 0): Int = TODO()
    fun has(key: String): Boolean = TODO()
    fun isNull(key: String): Boolean = TODO()
}

class JSONArray {
    fun length(): Int = TODO()
    fun getInt(index: Int): Int = TODO()
    fun getDouble(index: Int): Double = TODO()
    fun getJSONObject(index: Int): JSONObject = TODO()
    fun getJSONArray(index: Int): JSONArray = TODO()
}
