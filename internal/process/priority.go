package process

// workerNice is how much nicer local workers are than their coordinator. They keep every CPU busy;
// what they report to, and who has to export at once when a stop comes, goes
// first. Beside programs of other users it makes little difference.
const workerNice = 5

// YieldToCoordinator lowers the priority of this process, a local worker,
// below its coordinator's. It cannot be taken back without rights.
func YieldToCoordinator() error { return lowerPriority(workerNice) }
