package makespan

import (
	"cmp"
	"slices"
	"time"
)

// task is one creation in Azure. Times are Azure's, not this machine's, and count from the start of
// the first task.
type task struct {
	// name is the resource's name for a reader; urn and id are unique.
	name, urn, id string
	// kind is the ARM type.
	kind string
	// start is when Azure took the request, and end is when it answered.
	start, end time.Duration
	// latency is the time that Azure needs for the resource alone.
	latency time.Duration
	// owner, if not empty, is the resource on which Azure works for one task at a time.
	owner string
	// after are the tasks that the engine made it wait for, and imposed those that Azure makes it wait
	// for.
	after, imposed []*task
	// settles is how long Azure needs after the end of the task until its dependents may start: the
	// propagation of a role assignment.
	settles time.Duration
}

// makespan is from the first start to the last end.
func makespan(tasks []*task) time.Duration {
	if len(tasks) == 0 {
		return 0
	}
	first := slices.MinFunc(tasks, func(a, b *task) int { return cmp.Compare(a.start, b.start) })
	return last(tasks).end - first.start
}

func last(tasks []*task) *task {
	return slices.MaxFunc(tasks, func(a, b *task) int { return cmp.Compare(a.end, b.end) })
}

// criticalPath returns the tasks that delayed the end, in the order of time. Each task is the
// dependency of the next one that ended last.
func criticalPath(tasks []*task) []*task {
	if len(tasks) == 0 {
		return nil
	}
	path := []*task{last(tasks)}
	for len(path[0].after) > 0 {
		path = slices.Insert(path, 0, last(path[0].after))
	}
	return path
}

// strictChain returns the tasks that every program needs, and how long they take without a pause:
// the resource group, the virtual network, one subnet of it, and the slowest single resource.
func strictChain(tasks []*task) (chain []*task, length time.Duration) {
	slowest := func(kind string) {
		var found *task
		for _, t := range tasks {
			if (kind == "" || t.kind == kind) && (found == nil || t.latency > found.latency) {
				found = t
			}
		}
		if found != nil && !slices.Contains(chain, found) {
			chain = append(chain, found)
			length += found.latency
		}
	}
	slowest(kindGroup)
	slowest(kindNetwork)
	slowest(kindSubnet)
	slowest("")
	return chain, length
}

// slot is when a task runs in a plan.
type slot struct {
	task       *task
	start, end time.Duration
	// held is the task that the start waited for: an imposed one, or the one before it on the same
	// owner.
	held *task
}

// imposedPlan plans the tasks as early as Azure alone allows, one at a time on each owner, and
// returns the chain that ends last. On an owner, the task with the longest chain after it goes
// first: a good plan, but not proven to be the best.
func imposedPlan(tasks []*task) (chain []slot, length time.Duration) {
	tails := tails(tasks)
	slots := map[*task]slot{}
	free := map[string]slot{} // by owner, the last that was planned
	left := slices.Clone(tasks)
	for len(left) > 0 {
		best := -1
		var planned slot
		for i, t := range left {
			s, ready := earliest(t, slots, free)
			if ready && (best < 0 || s.start < planned.start || s.start == planned.start && tails[t] > tails[planned.task]) {
				best, planned = i, s
			}
		}
		if best < 0 {
			break // the rest wait for each other in a circle, which Azure would refuse
		}
		left = slices.Delete(left, best, best+1)
		slots[planned.task] = planned
		if planned.task.owner != "" {
			free[planned.task.owner] = planned
		}
		length = max(length, planned.end)
	}
	for _, s := range slots {
		if s.end == length {
			chain = []slot{s}
			break
		}
	}
	for len(chain) > 0 && chain[0].held != nil {
		chain = slices.Insert(chain, 0, slots[chain[0].held])
	}
	return chain, length
}

// earliest says when a task can start, if every task that it must wait for is planned.
func earliest(t *task, slots map[*task]slot, free map[string]slot) (slot, bool) {
	s := slot{task: t}
	for _, before := range t.imposed {
		b, ok := slots[before]
		if !ok {
			return s, false
		}
		if ready := b.end + before.settles; ready > s.start || s.held == nil {
			s.start, s.held = max(s.start, ready), before
		}
	}
	if b, ok := free[t.owner]; ok && t.owner != "" && b.end > s.start {
		s.start, s.held = b.end, b.task
	}
	s.end = s.start + t.latency
	return s, true
}

// tails returns how long each task takes, together with the longest chain after it.
func tails(tasks []*task) map[*task]time.Duration {
	behind := map[*task][]*task{}
	for _, t := range tasks {
		for _, before := range t.imposed {
			behind[before] = append(behind[before], t)
		}
	}
	result := map[*task]time.Duration{}
	var tail func(t *task) time.Duration
	tail = func(t *task) time.Duration {
		if known, ok := result[t]; ok {
			return known
		}
		result[t] = t.latency // ends a circle
		var longest time.Duration
		for _, next := range behind[t] {
			longest = max(longest, t.settles+tail(next))
		}
		result[t] = t.latency + longest
		return result[t]
	}
	for _, t := range tasks {
		tail(t)
	}
	return result
}
