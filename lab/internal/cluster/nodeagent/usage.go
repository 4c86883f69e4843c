package nodeagent

import (
	"context"
	"time"
)

// measureInterval is how often the processes of the pods are measured. The kernel kills a process
// when it crosses the limit of its memory; here it is killed within this time.
const measureInterval = time.Second

// measure measures the processes of all pods until ctx is done, and kills those with more memory
// than their limit.
func (a *Agent) measure(ctx context.Context) {
	ticker := time.NewTicker(measureInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		a.mu.Lock()
		var executed []*pod
		for _, p := range a.pods {
			if p.executed {
				executed = append(executed, p)
			}
		}
		a.mu.Unlock()
		for _, p := range executed {
			p.measure()
		}
	}
}

func (p *pod) measure() {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.current
	if c == nil {
		p.cores, p.memory, p.lastTime = 0, 0, 0
		return
	}
	used, memory, err := c.usage()
	if err != nil {
		return // it has just ended, which its status says
	}
	if p.lastTime > 0 && used >= p.lastTime {
		p.cores = float64(used-p.lastTime) / float64(measureInterval)
	}
	p.lastTime, p.memory = used, memory
	if limit := c.limit(); limit > 0 && memory > limit {
		c.killForMemory()
	}
}
