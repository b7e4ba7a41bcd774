// What haystacks are made of when nobody gives a text: the licence, and this description of the project in plain words. The
// vocabulary of the needle model is trained on the same text, so changing it changes the model that a seed stands for.

/// The text that comes with the binary.
package enum HaystackProse {
    /// Everything there is, as one text with paragraphs.
    package static var all: String { project + "\n\n" + licence }

    /// How the project works, for readers and as hay.
    package static let project = #"""
        A language model reads a text by comparing every word with every word before it. For a page this is nothing, for a
        library it is everything: the keys and values of a million words fill more memory than a server has, and the number of
        comparisons grows with the square of the length. A ring of servers shares both the memory and the work, and gives
        exactly the answer that one impossibly large server would have given.

        The text is cut into shards. Each worker holds the keys and values of its own shard and the questions that its own words
        ask. While it answers them from what it holds, it sends its keys and values to the next worker and receives those of
        the one before. After as many steps as there are workers, every question has met every key, and nobody ever held more
        than two shards at once.

        What a worker knows after one step is a partial answer: a weighted mean of the values it has seen, and the logarithm of
        the sum of the weights. Two partial answers merge into one without any loss, because the logarithm says how much each
        of them counts. Leave it out, and a shard that knows nothing counts as much as the shard that knows everything.

        A word may only look at the words before it. The last shard of a text therefore has far more to look at than the first,
        and a ring is as slow as its slowest member. So the text is dealt like a hand of cards that goes round and comes
        back: each worker takes one run from the front and the matching run from the back, and together these two are equal
        work for everybody, in every single step of the ring.

        Sending costs nothing when it happens under the computing. A block of keys and values leaves while the block before it
        is being used, and the next one arrives in the meantime. Only when the wire is slower than the arithmetic does anybody
        wait, and the time that somebody waits is measured and printed, because it is the only part of communication that
        a person pays for.

        The coordinator is the one who talks to people. It takes a job, looks at which workers are alive and how much memory
        they have, makes a plan, and tells every worker its place. It never touches a key or a value. The workers are the ones
        who compute; they know their two neighbours, their shard, and the step they are at, and nothing about jobs.

        A job ends in one of three ways. It succeeds, and there is an answer. It fails, and there is a sentence that says what
        went wrong, where, and what to do about it. Or somebody cancels it. There is no fourth way, and in particular there
        is no answer that is quietly wrong: what travels is checked, what is computed is tested for being a number, and a
        sample of the result can be computed again in double precision and compared.

        When a worker dies in the middle of a job, its neighbours notice first. The connection closes, or a deadline passes
        without a message. They report the name of the one that is missing and the step at which it went missing, and everybody
        stops at once instead of waiting for something that will never come. Nothing is left running, no port stays open, and
        no file stays behind.

        A haystack is a long and ordinary text in which a few facts are hidden. Each fact has two parts, a key and a value, and the
        value of one fact leads to the key of the next. Somebody who wants to follow the chain has to find the first fact, then
        the second, then the third, wherever they are. If a single shard of the text is lost on the way, the chain breaks,
        and the answer shows it.

        Finding one fact shows that nothing was lost. It does not show that nothing was counted twice. For this there is a vote: the
        same key stands in the text many times, with three different values, and one of them leads by a single copy. The
        answer is the value that leads. Losing a shard changes the count, and so does reading a shard twice; either way another
        value takes the lead, and the answer is wrong in plain sight.

        The model that follows these chains was never trained. Its weights were written down, one by one, from an argument on paper.
        The first layer looks at the word before, and at nothing else. The second layer compares the question with all that the
        first layer has noted, anywhere in the text, and brings back what it finds. Behind it stands a secret table that turns
        what was found into what is said. The same weights work for a hundred words and for four million.

        Because such a model is small, a long text can be read with it on an ordinary machine in a minute. Because it is exact, a
        wrong answer always means a mistake in the machinery and never a weakness of the model. That is what makes it a
        good instrument: a thermometer that is sometimes wrong by itself is of little use to somebody with a fever.

        Numbers are printed with the thing they should be compared with. A rate of so many operations in a second says little; the
        same rate beside the best that this very processor can do says whether there is work left. The same holds for memory,
        for the wire and for time: first an estimate on the back of an envelope, then the measurement, then the reason why
        they differ.

        A plan is made before anything starts. It says how many words each worker will own, how many bytes will travel at each
        step, how long the arithmetic should take and how much of the sending will hide under it. If the plan does not fit into
        the memory that is there, the job is refused at the door with the number of bytes that are missing, and nobody has
        lost an hour.

        The kernels are the few hundred lines in which nearly all the time is spent. They exist once in plain form, slow and
        easy to read, and once for each kind of processor, fast and hard to read. The fast ones are compared with the slow one on
        every shape that has ever caused trouble: one row, no row, a row that sees nothing, a number so large that its
        exponential is not a number any more.

        Everything that can wait has a deadline, everything that can grow has a limit, and everything that is random has a seed.
        A failure that was seen once can be seen again by anybody who has the seed. This sounds like bureaucracy until the
        first night on which a failure has to be found, and from then on it sounds like mercy.

        A person who runs a cluster reads logs, figures and one file with settings. So there is one file with settings, and each
        setting says what happens when it is changed. There is one program, and its verbs are its parts. There is one place where
        words are explained, and each word means one thing: a node is a machine, a worker is a process, a rank is a place in
        the ring, a shard is what a rank owns.

        When the last word of the text has been read, the answer begins. Each new word asks all workers at once; each of them answers
        from the keys and values that it holds, and the partial answers are merged in one exchange. The new word gets its own
        key and value, and these are given to the workers in turn, so that a long answer makes nobody fuller than the others.

        Old harbours had a rule for ships that came in at night. Three lamps stood on the shore, and only from the middle of the
        channel did they appear in one line. A captain who saw two of them knew that something stood in between; a captain who
        saw four knew that he was looking at a reflection. The pilots trusted the lamps because each mistake looked different
        from the truth, and from every other mistake.

        It is worth saying what this is not. It is not a scheduler, because good ones exist. It is not a new format for models, because
        there is one that everybody reads. It is not a way to make answers cheaper by leaving out what probably does not matter.
        It reads all of the text, compares all of the pairs, and merges all of the parts, and it would rather say that it
        cannot than pretend that it did.
        """#
}
