package process

// workerNice is how much nicer local workers are than their coordinator, which must
// export at once when a stop comes while they keep every CPU busy.
const workerNice = 5

// YieldToCoordinator lowers the priority of this process, a local worker,
// below its coordinator's. It cannot be taken back without rights.
func YieldToCoordinator() error { return lowerPriority(workerNice) }
