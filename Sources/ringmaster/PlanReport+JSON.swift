// A plan for programs: every figure of the page, in bytes, seconds and FLOP, and `null` where it does not fit or has no price.

import RingFormats
import RingPlacement

extension PlanReport {
    var json: JSONValue {
        let question = plan.question
        var assumptions = JSONObject()
        for entry in question.assumptions.entries {
            assumptions.append(entry.name, Double(entry.value).map(JSONValue.number) ?? .string(entry.value))
        }
        let changes = plan.memory.fit.runs && plans.count == 1 ? plan.changes() : []
        return [
            "model": Self.json(question.model), "tokens": .integer(Int64(question.tokens)),
            "sequences": .integer(Int64(question.sequences)),
            "dtypes": [
                "weights": .string(question.denseType.rawValue), "experts": .string(question.expertType.rawValue),
                "kv": .string(question.cacheType.rawValue),
            ],
            "assumptions": .object(assumptions), "plans": .array(plans.map { Self.json($0) }),
            "changes": .array(changes.map { ["change": .string(Self.sentence($0.what)), "plan": Self.brief($0.plan)] }),
            "remedies": .array(plan.remedies().map { Self.json($0) }), "smallest": plan.smallest(target).map { Self.brief($0) } ?? .null,
        ]
    }

    static func json(_ model: ModelSpec) -> JSONValue {
        [
            "name": .string(model.name), "parameters": .integer(Int64(model.totalParameters)),
            "active_parameters": .integer(Int64(model.activeParameters)),
            "dense_parameters": .integer(Int64(model.denseParameters)), "expert_parameters": .integer(Int64(model.expertParameters)),
            "layers": .integer(Int64(model.layerCount)), "sparse_layers": .integer(Int64(model.sparseLayers)),
            "experts": .integer(Int64(model.experts?.count ?? 0)), "experts_chosen": .integer(Int64(model.experts?.chosen ?? 0)),
            "context_max": .integer(Int64(model.contextMax)), "kv_elements_per_token": .number(model.cacheElements),
            "released_dtypes": ["weights": .string(model.denseType.rawValue), "experts": .string(model.expertType.rawValue)],
            "unverified": .array(model.unverified.map { .string($0) }),
        ]
    }

    /// One plan without its workers and phases.
    static func brief(_ plan: ClusterPlan) -> JSONValue { .object(figures(plan)) }

    private static func figures(_ plan: ClusterPlan) -> JSONObject {
        [
            "machines": .integer(Int64(plan.question.cluster.machineCount)), "workers": .integer(Int64(plan.question.cluster.workerCount)),
            "fits": .string(plan.memory.fit.runs ? (plan.memory.fit == .fits ? "memory" : "nvme") : "no"),
            "prefill_seconds": number(plan.prefillSeconds), "tokens_per_second": number(plan.tokensPerSecond),
            "prefill_cost": number(plan.prefillCost), "decode_cost": number(plan.decodeCost),
        ]
    }

    private static func number(_ value: Double?) -> JSONValue { value.map { .number($0) } ?? .null }

    static func json(_ plan: ClusterPlan) -> JSONValue {
        var object = figures(plan)
        switch plan.memory.fit {
        case .fits: break
        case .spills(let bytes): object.append("nvme_bytes", .number(bytes))
        case .missing(let memory, let experts):
            object.append("missing_bytes", .number(memory))
            object.append("missing_expert_bytes", .number(experts))
        }
        object.append("utilisation", number(plan.utilisation))
        object.append("worker_kinds", .array(plan.memory.workers.map { json($0) }))
        object.append("prefill", plan.prefill.map { json($0) } ?? .null)
        object.append("decode", plan.decode.map { json($0) } ?? .null)
        return .object(object)
    }

    private static func json(_ worker: WorkerMemory) -> JSONValue {
        [
            "machine": .string(worker.name), "workers": .integer(Int64(worker.count)), "token_share": .number(worker.share),
            "expert_share": .number(worker.expertShare), "weight_bytes": .number(worker.denseBytes), "kv_bytes": .number(worker.cacheBytes),
            "buffer_bytes": .number(worker.activationBytes), "expert_bytes": .number(worker.expertBytes),
            "slots": .integer(Int64(worker.slots)), "slots_wanted": .integer(Int64(worker.slotsWanted)),
            "needed_bytes": .number(worker.bytes), "available_bytes": .number(worker.availableBytes),
            "nvme_bytes": .number(worker.spilledBytes),
        ]
    }

    private static func json(_ prefill: PrefillPlan) -> JSONValue {
        [
            "seconds": .number(prefill.time.seconds), "flops": .number(prefill.flops), "phases": json(prefill.time),
            "latent_form": .string(prefill.form.rawValue), "moves": .string(prefill.movement.rawValue),
            "ring_hop_bytes": .number(prefill.hopBytes), "ring_machine_bytes": .number(prefill.ringBytes),
            "dispatch_machine_bytes": number(prefill.dispatchBytes), "rotation_machine_bytes": number(prefill.rotationBytes),
        ]
    }

    private static func json(_ decode: DecodePlan) -> JSONValue {
        [
            "seconds": .number(decode.time.seconds), "tokens_per_second": .number(decode.tokensPerSecond),
            "memory_bytes": .number(decode.memoryBytes), "busiest_experts": .number(decode.busiestExperts), "phases": json(decode.time),
        ]
    }

    private static func json(_ time: StepTime) -> JSONValue {
        .array(
            time.phases.map { phase in
                [
                    "phase": .string(phase.work.rawValue), "seconds": .number(phase.seconds), "flops": .number(phase.flops),
                    "memory_bytes": .number(phase.memoryBytes), "link_bytes": .number(phase.linkBytes),
                    "compute_seconds": .number(phase[.compute]), "memory_seconds": .number(phase[.memory]),
                    "link_seconds": .number(phase[.link]), "rack_link_seconds": .number(phase[.rackLink]),
                    "nvme_seconds": .number(phase[.nvme]), "bound": .string(phase.bound.rawValue),
                ]
            })
    }

    private static func json(_ remedy: Remedy) -> JSONValue {
        switch remedy {
        case .machines(let count): ["machines": .integer(Int64(count))]
        case .memory(let bytes): ["memory_bytes_per_machine": .number(bytes)]
        case .nvme(let bytes): ["nvme_bytes": .number(bytes)]
        case .experts(let type): ["expert_dtype": .string(type.rawValue)]
        case .dense(let type): ["weight_dtype": .string(type.rawValue)]
        case .cache(let type): ["kv_dtype": .string(type.rawValue)]
        case .tokens(let count): ["tokens": .integer(Int64(count))]
        case .sharedWeights: ["assume": "shared-weights=yes"]
        }
    }
}
