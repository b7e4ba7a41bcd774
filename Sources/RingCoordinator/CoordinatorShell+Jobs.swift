// The shell's side of a job: submitting, its prompt, following, cancelling.

import RingControl
import RingCore

extension CoordinatorShell {
    /// Takes a job in, or says why not. It is in the store when this returns.
    func submit(_ submission: Submission) throws(APIError) -> (job: JobNumber, isNew: Bool) {
        if case .generate = submission.spec {
            let stored = jobs.values.reduce(0) { $0 + ($1.prompt?.byteCount ?? 0) }
            guard submission.spec.tokens <= (CoordinatorLimits.promptStoreBytes - stored) / 4 else {
                throw APIError(.tooLarge, "the prompts of open jobs may have \(CoordinatorLimits.promptStoreBytes) bytes together")
            }
        }
        if trouble != nil { keep([]) }
        if let trouble { throw APIError(.unavailable, "no job can be taken, since it could not be kept: \(trouble)") }
        for directive in receive(.submitted(submission, Ticket(nextNumber()))) {
            switch directive {
            case .accepted(_, let job, let isNew):
                if let trouble {
                    receive(.cancelled(job, reason: "the job could not be kept"))
                    throw APIError(.unavailable, "the job could not be kept and is not taken: \(trouble)")
                }
                if isNew, case .generate(let spec) = submission.spec, jobs[job]?.journal.isSettled == false {
                    jobs[job]?.prompt = StoredPrompt(tokens: spec.promptTokenCount)
                }
                return (job, isNew)
            case .refused(_, .invalid(let sentence)): throw APIError(.badRequest, sentence)
            case .refused(_, .keyTaken(let job)):
                throw APIError(.conflict, "the idempotency key belongs to job \(job), which asks for something else")
            case .refused(_, .full(let open)): throw APIError(.busy, "\(open) jobs are open: try again when one is through")
            case .refused(_, .stopping): throw APIError(.unavailable, "the coordinator is going down")
            default: continue
            }
        }
        throw APIError(.internalError, "the submission was not answered")
    }

    /// Stores a piece of a prompt, durably.
    func storePrompt(_ piece: [UInt32], at start: Int, of job: JobNumber) throws(APIError) {
        guard let prompt = jobs[job]?.prompt else { throw APIError(.notFound, "there is no open job \(job) that takes a prompt") }
        if prompt.isWhole { throw APIError(.conflict, "the prompt of job \(job) is stored whole already") }
        guard prompt.fits(piece.count, at: start) else {
            throw APIError(.badRequest, "the piece does not lie in the prompt of job \(job)", parameter: "start")
        }
        keep([.prompt(job, start: start, ids: piece)])
        if let trouble { throw APIError(.unavailable, "the prompt could not be kept: \(trouble)") }
        _ = jobs[job]?.prompt?.store(piece, at: start)
        if jobs[job]?.prompt?.isWhole == true { receive(.promptStored(job)) }
    }

    /// A run of a prompt's token ids. Behind the prompt stand the tokens of the answer that were told: a run that follows
    /// on a failed one takes them for its prompt's end.
    func prompt(of job: JobNumber, start: Int, count: Int) throws(APIError) -> [UInt32] {
        guard let followed = jobs[job], let prompt = followed.prompt else {
            throw APIError(.notFound, "there is no open job \(job) with a prompt")
        }
        let (whole, answer) = (prompt.ids.count, followed.journal.answer)
        guard start >= 0, count >= 0, start <= whole + answer.count, count <= whole + answer.count - start else {
            throw APIError(.badRequest, "the prompt of job \(job) has \(whole) tokens", parameter: "start")
        }
        let end = start + count
        return Array(prompt.ids[min(start, whole)..<min(end, whole)]) + answer[max(start - whole, 0)..<max(end - whole, 0)]
    }

    /// Gives a job up.
    func cancel(_ job: JobNumber, reason: String) throws(APIError) {
        guard machine.jobView(job) != nil else { throw APIError(.notFound, "there is no job \(job)") }
        receive(.cancelled(job, reason: reason))
    }

    /// Every job that is kept.
    public func jobViews() -> [JobView] { machine.jobViews }

    /// One job.
    func jobView(_ job: JobNumber) throws(APIError) -> JobView {
        guard let view = machine.jobView(job) else { throw APIError(.notFound, "there is no job \(job)") }
        return view
    }

    /// The events of a job behind number `after`.
    func follow(_ job: JobNumber, after sequence: Int = 0) throws(APIError) -> JobFeed {
        guard machine.jobView(job) != nil else { throw APIError(.notFound, "there is no job \(job)") }
        if jobs[job] == nil {
            // Settled before this process started: its events are read when somebody asks.
            do throws(StoreError) {
                jobs[job] = Followed(journal: JobJournal(try store.events(of: job)))
            } catch {
                throw APIError(.unavailable, error.description)
            }
        }
        let number = nextNumber()
        let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        jobs[job]?.bells[number] = continuation
        continuation.onTermination = { [weak self] _ in Task { await self?.unfollow(job, bell: number) } }
        return JobFeed(shell: self, job: job, bell: stream, place: JobJournal.Place(after: sequence))
    }

    private func unfollow(_ job: JobNumber, bell: UInt64) { jobs[job]?.bells.removeValue(forKey: bell) }

    /// What a follower at `place` has not seen, where it is then, and whether nothing more can come.
    func news(of job: JobNumber, after place: JobJournal.Place) -> ([JobNews], JobJournal.Place, isSettled: Bool)? {
        guard let journal = jobs[job]?.journal else { return nil }
        var moved = place
        return (journal.news(after: &moved), moved, journal.isSettled)
    }
}
