// What the operating system calls its errors.
import Glibc

/// The text of an errno value.
package func systemText(_ code: Int32) -> String {
    guard let text = unsafe strerror(code) else { return "error \(code)" }
    return unsafe String(cString: text)
}
