// libibverbs, and what of it Swift says badly: macros, bit fields, unions, and work requests that point into themselves.
// No policy here: every function fills structures and calls one function of the library. They return 0 or an errno value.
#ifndef RING_VERBS_SHIM_H
#define RING_VERBS_SHIM_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <infiniband/verbs.h>
#include <stdbool.h>
#include <string.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

// Bytes that this process may pin: RLIMIT_MEMLOCK, or UINT64_MAX without a limit or with CAP_IPC_LOCK, which knows none.
static inline uint64_t ring_verbs_memlock_limit(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2];
    if (syscall(SYS_capget, &header, sets) == 0 && (sets[0].effective & (1u << CAP_IPC_LOCK))) return UINT64_MAX;
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
    return limit.rlim_cur;
}

// Devices of this machine in the kernel's order, or NULL with *error; ENOSYS and an empty list both mean "no RDMA".
static inline struct ibv_device *_Nullable *_Nullable ring_verbs_devices(int *_Nonnull count, int *_Nonnull error) {
    errno = 0;
    struct ibv_device **list = ibv_get_device_list(count);
    *error = list ? 0 : (errno ? errno : ENOSYS);
    return list;
}

// What of a port decides whether and how it is used.
typedef struct {
    bool is_active;
    bool is_ethernet;
    uint16_t lid;
    uint8_t mtu;  // ibv_mtu: 1 = 256 ... 5 = 4096
    int gids;
    int state;  // ibv_port_state
} ring_verbs_port;

static inline int ring_verbs_query_port(struct ibv_context *_Nonnull context, uint8_t number, ring_verbs_port *_Nonnull port) {
    struct ibv_port_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    int error = ibv_query_port(context, number, &attributes);
    if (error) return error;
    port->is_active = attributes.state == IBV_PORT_ACTIVE;
    port->is_ethernet = attributes.link_layer == IBV_LINK_LAYER_ETHERNET;
    port->lid = attributes.lid;
    port->mtu = (uint8_t)attributes.active_mtu;
    port->gids = attributes.gid_tbl_len;
    port->state = (int)attributes.state;
    return 0;
}

// One entry of a port's table of addresses. An entry that holds none gives an errno value.
typedef struct {
    uint8_t bytes[16];
    uint32_t type;  // ibv_gid_type: 0 InfiniBand, 1 RoCE v1, 2 RoCE v2
} ring_verbs_gid;

static inline int ring_verbs_query_gid(struct ibv_context *_Nonnull context, uint8_t port, int index,
                                       ring_verbs_gid *_Nonnull gid) {
    struct ibv_gid_entry entry;
    memset(&entry, 0, sizeof entry);
    int error = ibv_query_gid_ex(context, port, (uint32_t)index, &entry, 0);
    if (error) return error;
    memcpy(gid->bytes, entry.gid.raw, 16);
    gid->type = entry.gid_type;
    return 0;
}

// Pins `count` bytes. Peers and we name them by their offset from `base` plus `origin`, never by an address of this process. It may be
// written by whoever has its own key (`by_key`), or a key to a window that is bound to a part of it (`by_window`), or by us alone.
static inline struct ibv_mr *_Nullable ring_verbs_register(struct ibv_pd *_Nonnull domain, void *_Nonnull base, size_t count,
                                                           uint64_t origin, bool by_key, bool by_window, int *_Nonnull error) {
    errno = 0;
    int access = IBV_ACCESS_LOCAL_WRITE | (by_key ? IBV_ACCESS_REMOTE_WRITE : 0) | (by_window ? IBV_ACCESS_MW_BIND : 0);
    struct ibv_mr *region = ibv_reg_mr_iova(domain, base, count, origin, access);
    *error = region ? 0 : (errno ? errno : EINVAL);
    return region;
}

// A reliable connected queue pair on one completion queue. `*inline_bytes` is what was asked for and becomes what was given.
static inline struct ibv_qp *_Nullable ring_verbs_create_pair(struct ibv_pd *_Nonnull domain, struct ibv_cq *_Nonnull queue,
                                                              uint32_t sends, uint32_t receives,
                                                              uint32_t *_Nonnull inline_bytes, int *_Nonnull error) {
    struct ibv_qp_init_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.send_cq = queue;
    attributes.recv_cq = queue;
    attributes.qp_type = IBV_QPT_RC;
    attributes.cap.max_send_wr = sends;
    attributes.cap.max_recv_wr = receives;
    attributes.cap.max_send_sge = 2;
    attributes.cap.max_recv_sge = 1;
    attributes.cap.max_inline_data = *inline_bytes;
    errno = 0;
    struct ibv_qp *pair = ibv_create_qp(domain, &attributes);
    *error = pair ? 0 : (errno ? errno : EINVAL);
    if (pair) *inline_bytes = attributes.cap.max_inline_data;
    return pair;
}

// RESET -> INIT: receives may be posted afterwards.
static inline int ring_verbs_prepare_pair(struct ibv_qp *_Nonnull pair, uint8_t port) {
    struct ibv_qp_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.qp_state = IBV_QPS_INIT;
    attributes.port_num = port;
    attributes.qp_access_flags = IBV_ACCESS_REMOTE_WRITE;
    return ibv_modify_qp(pair, &attributes, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
}

// Where a queue pair's other end is and how hard to try.
typedef struct {
    uint32_t pair;
    uint32_t first_packet;      // the peer's
    uint32_t own_first_packet;  // ours
    uint16_t lid;
    uint8_t gid[16];
    uint8_t gid_index;  // ours
    uint8_t mtu;
    uint8_t port;  // ours
    bool is_global;
    uint8_t traffic_class;
    uint8_t timeout;  // 4.096 us << timeout
    uint8_t retries;
} ring_verbs_route;

// INIT -> RTR -> RTS.
static inline int ring_verbs_connect_pair(struct ibv_qp *_Nonnull pair, const ring_verbs_route *_Nonnull route) {
    struct ibv_qp_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.qp_state = IBV_QPS_RTR;
    attributes.path_mtu = (enum ibv_mtu)route->mtu;
    attributes.dest_qp_num = route->pair;
    attributes.rq_psn = route->first_packet;
    attributes.max_dest_rd_atomic = 1;
    attributes.min_rnr_timer = 12;  // 0.64 ms
    attributes.ah_attr.dlid = route->lid;
    attributes.ah_attr.port_num = route->port;
    if (route->is_global) {
        attributes.ah_attr.is_global = 1;
        memcpy(attributes.ah_attr.grh.dgid.raw, route->gid, 16);
        attributes.ah_attr.grh.sgid_index = route->gid_index;
        attributes.ah_attr.grh.hop_limit = 64;
        attributes.ah_attr.grh.traffic_class = route->traffic_class;
    }
    int error = ibv_modify_qp(pair, &attributes,
                              IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
                                  IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
    if (error) return error;
    memset(&attributes, 0, sizeof attributes);
    attributes.qp_state = IBV_QPS_RTS;
    attributes.timeout = route->timeout;
    attributes.retry_cnt = route->retries;
    attributes.rnr_retry = 6;  // receives are counted, so this is never needed between sound peers
    attributes.sq_psn = route->own_first_packet;
    attributes.max_rd_atomic = 1;
    return ibv_modify_qp(pair, &attributes,
                         IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
                             IBV_QP_MAX_QP_RD_ATOMIC);
}

static inline int ring_verbs_post_receive(struct ibv_qp *_Nonnull pair, uint64_t id, uint64_t place, uint32_t count,
                                          uint32_t key) {
    struct ibv_sge run = {.addr = place, .length = count, .lkey = key};
    struct ibv_recv_wr request = {.wr_id = id, .sg_list = &run, .num_sge = 1};
    struct ibv_recv_wr *bad;
    return ibv_post_recv(pair, &request, &bad);
}

// A run of registered bytes. For an inline frame `place` is an address and the key is not looked at.
typedef struct {
    uint64_t place;
    uint32_t count;
    uint32_t key;
} ring_verbs_run;

// True when the device has windows that are bound by work requests and belong to one queue pair (type 2).
static inline bool ring_verbs_has_windows(const struct ibv_device_attr *_Nonnull attributes) {
    return attributes->max_mw > 0 &&
        (attributes->device_cap_flags & (IBV_DEVICE_MEM_WINDOW_TYPE_2A | IBV_DEVICE_MEM_WINDOW_TYPE_2B)) != 0;
}

// What is done on this side before a frame goes out: binding a window to bytes of a registration, or ending it.
typedef struct {
    struct ibv_mw *_Nullable window;
    struct ibv_mr *_Nullable region;  // NULL ends the window
    uint64_t place;
    uint64_t count;
    uint32_t key;  // the key that opens it from now on, or no longer
} ring_verbs_window_change;

static inline struct ibv_send_wr ring_verbs_change_request(uint64_t id, const ring_verbs_window_change *_Nonnull change,
                                                           struct ibv_send_wr *_Nonnull next) {
    struct ibv_send_wr request = {.wr_id = id, .next = next, .opcode = change->region ? IBV_WR_BIND_MW : IBV_WR_LOCAL_INV};
    if (!change->region) {
        request.invalidate_rkey = change->key;
        return request;
    }
    request.bind_mw.mw = change->window;
    request.bind_mw.rkey = change->key;
    request.bind_mw.bind_info.mr = change->region;
    request.bind_mw.bind_info.addr = change->place;
    request.bind_mw.bind_info.length = change->count;
    request.bind_mw.bind_info.mw_access_flags = IBV_ACCESS_REMOTE_WRITE;
    return request;
}

// A frame: its header and, if there are any, payload bytes behind it, as one message with 32 bits at its side. Before it, if there
// is a window, its change.
static inline int ring_verbs_post_frame(struct ibv_qp *_Nonnull pair, uint64_t id, ring_verbs_run header, ring_verbs_run payload,
                                        uint32_t word, bool is_inline, bool is_signaled, ring_verbs_window_change change) {
    struct ibv_sge runs[2] = {{.addr = header.place, .length = header.count, .lkey = header.key},
                              {.addr = payload.place, .length = payload.count, .lkey = payload.key}};
    struct ibv_send_wr request = {.wr_id = id, .sg_list = runs, .num_sge = payload.count ? 2 : 1, .opcode = IBV_WR_SEND_WITH_IMM};
    request.imm_data = htonl(word);
    request.send_flags = (is_inline ? IBV_SEND_INLINE : 0) | (is_signaled ? IBV_SEND_SIGNALED : 0);
    struct ibv_send_wr *bad;
    if (!change.window) return ibv_post_send(pair, &request, &bad);
    struct ibv_send_wr before = ring_verbs_change_request(id, &change, &request);
    int error = ibv_post_send(pair, &before, &bad);
    // The library leaves it to us to remember the key of a window of type 2.
    if (!error && change.region) change.window->rkey = change.key;
    return error;
}

// Payload into the peer's registered memory and, behind it, the frame that says so: the queue pair keeps their order.
static inline int ring_verbs_post_write(struct ibv_qp *_Nonnull pair, uint64_t id, ring_verbs_run payload, uint64_t remote_place,
                                        uint32_t remote_key, ring_verbs_run header, uint32_t word, bool is_inline,
                                        bool is_signaled) {
    struct ibv_sge run = {.addr = payload.place, .length = payload.count, .lkey = payload.key};
    struct ibv_sge tail = {.addr = header.place, .length = header.count, .lkey = header.key};
    struct ibv_send_wr frame = {.wr_id = id, .sg_list = &tail, .num_sge = 1, .opcode = IBV_WR_SEND_WITH_IMM};
    frame.imm_data = htonl(word);
    frame.send_flags = (is_inline ? IBV_SEND_INLINE : 0) | (is_signaled ? IBV_SEND_SIGNALED : 0);
    struct ibv_send_wr write = {.wr_id = id, .next = &frame, .sg_list = &run, .num_sge = 1, .opcode = IBV_WR_RDMA_WRITE};
    write.wr.rdma.remote_addr = remote_place;
    write.wr.rdma.rkey = remote_key;
    struct ibv_send_wr *bad;
    return ibv_post_send(pair, &write, &bad);
}

// What of a completion is looked at.
typedef struct {
    uint64_t id;
    int status;  // ibv_wc_status
    bool is_receive;
    bool has_word;
    uint32_t count;
    uint32_t word;
} ring_verbs_end;

// Up to 32 completions; how many, or a negative value when the queue is broken.
static inline int ring_verbs_poll(struct ibv_cq *_Nonnull queue, ring_verbs_end *_Nonnull ends, int limit) {
    struct ibv_wc raw[32];
    int count = ibv_poll_cq(queue, limit < 32 ? limit : 32, raw);
    for (int place = 0; place < count; place++) {
        ends[place].id = raw[place].wr_id;
        ends[place].status = (int)raw[place].status;
        ends[place].is_receive = raw[place].status == IBV_WC_SUCCESS && (raw[place].opcode & IBV_WC_RECV);
        ends[place].has_word = raw[place].status == IBV_WC_SUCCESS && (raw[place].wc_flags & IBV_WC_WITH_IMM);
        ends[place].count = raw[place].byte_len;
        ends[place].word = ends[place].has_word ? ntohl(raw[place].imm_data) : 0;
    }
    return count;
}

// The next completion makes the channel readable.
static inline int ring_verbs_arm(struct ibv_cq *_Nonnull queue) { return ibv_req_notify_cq(queue, 0); }

// Takes what the channel reports off it; how many reports there were.
static inline int ring_verbs_drain_channel(struct ibv_comp_channel *_Nonnull channel) {
    struct ibv_cq *queue;
    void *context;
    int count = 0;
    while (ibv_get_cq_event(channel, &queue, &context) == 0) {
        ibv_ack_cq_events(queue, 1);
        count++;
    }
    return count;
}

// The next report about the device: its ibv_event_type and port (0 when it is about no port), or -1 when there is none.
static inline int ring_verbs_next_event(struct ibv_context *_Nonnull context, int *_Nonnull port) {
    struct ibv_async_event event;
    if (ibv_get_async_event(context, &event) != 0) return -1;
    int type = (int)event.event_type;
    bool is_port = type == IBV_EVENT_PORT_ACTIVE || type == IBV_EVENT_PORT_ERR;
    *port = is_port ? event.element.port_num : 0;
    ibv_ack_async_event(&event);
    return type;
}

static inline int ring_verbs_make_nonblocking(int descriptor) {
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) < 0) return errno;
    return 0;
}

#endif
