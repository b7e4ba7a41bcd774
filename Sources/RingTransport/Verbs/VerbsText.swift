// What the library's numbers mean to a person: port states, completion statuses, refusals to pin memory.
import CVerbs
import Glibc

/// Sentences, all without a leading "error".
enum VerbsText {
    /// Completes "rank 3 is lost: ".
    static func loss(status: Int32, device: RDMADevice, isPortDown: Bool) -> String {
        let port = isPortDown ? "; port \(device.port) of \(device.name) is down" : ""
        switch UInt32(bitPattern: status) {
        case IBV_WC_RETRY_EXC_ERR.rawValue:
            return "RDMA: no answer from it in spite of repetitions: its process, host or network is gone\(port)"
        case IBV_WC_RNR_RETRY_EXC_ERR.rawValue:
            return "RDMA: it has no receive posted for what it allowed\(port)"
        case IBV_WC_REM_ACCESS_ERR.rawValue:
            return "RDMA: it turned down a write into memory that it had offered\(port)"
        case IBV_WC_REM_INV_REQ_ERR.rawValue, IBV_WC_REM_OP_ERR.rawValue:
            return "RDMA: it could not carry out what we asked (\(name(status)))\(port)"
        case IBV_WC_LOC_QP_OP_ERR.rawValue:
            // The event that the port is down comes a moment later.
            return "RDMA: \(device.name) could not carry out a request of ours (\(name(status))): its network interface is down or changed"
        case IBV_WC_WR_FLUSH_ERR.rawValue:
            return "RDMA: its queue pair ended in error\(port)"
        default:
            return "RDMA: \(name(status))\(port)"
        }
    }

    static func name(_ status: Int32) -> String {
        guard status >= 0, let text = unsafe ibv_wc_status_str(ibv_wc_status(UInt32(status))) else { return "status \(status)" }
        return unsafe String(cString: text)
    }

    static func state(_ state: Int32) -> String {
        switch state {
        case 1: "down"
        case 2: "initialising"
        case 3: "armed"
        case 4: "active"
        case 5: "deferred"
        default: "state \(state)"
        }
    }

    /// Why `byteCount` bytes could not be pinned, and what helps.
    static func pinning(_ byteCount: Int, error: Int32, device: String) -> String {
        let limit = ring_verbs_memlock_limit()
        guard error == ENOMEM, limit != .max else {
            return "\(device) cannot register \(byteCount) bytes of memory: \(systemText(error))"
        }
        return "\(device) cannot register \(byteCount) bytes of memory: this process may lock \(limit) bytes (ulimit -l); "
            + "set LimitMEMLOCK=infinity in the service's unit, or 'ulimit -l unlimited' in the shell that starts it"
    }
}
