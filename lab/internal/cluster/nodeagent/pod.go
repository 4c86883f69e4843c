package nodeagent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
)

// pod is a pod of a node of the lab, from its creation until it is gone from the API server.
type pod struct {
	agent    *Agent
	name     types.NamespacedName
	uid      types.UID
	spec     corev1.PodSpec
	job      bool // one of a Job
	dir      string
	address  netip.Addr
	executed bool
	why      string
	events   record.EventRecorder
	life     context.Context //nolint:containedctx // the pod outlives the call that makes it
	cancel   context.CancelFunc
	ended    chan struct{} // closed when no process is left
	finished chan struct{} // closed when nothing of it has to run any more

	refreshing sync.WaitGroup

	tokens   map[string]token // by their paths; only the writer of the volumes uses it
	telling  sync.Mutex       // held while the API server is told, so that it hears of changes in their order
	mu       sync.Mutex
	object   *corev1.Pod // with the status as it is now
	current  *container  // the container that runs
	leaving  bool        // it is being deleted
	leave    chan struct{}
	grace    time.Duration
	cores    float64
	memory   uint64
	lastTime time.Duration // processor time at the last measurement
}

// retryInterval is how soon a container is tried again that could not be made because something is
// missing. A kubelet looks again after 10 s and more; here it is shorter, as all waits of the lab.
const retryInterval = 2 * time.Second

func (a *Agent) newPod(of *corev1.Pod) (*pod, error) {
	address, err := a.network.take(of.Status.PodIP)
	if err != nil {
		return nil, err
	}
	p := &pod{
		agent: a, name: nameOf(of), uid: of.UID, spec: *of.Spec.DeepCopy(), address: address,
		dir:    filepath.Join(a.options.Dir, podsDir, string(of.UID)),
		events: a.recorder(of), ended: make(chan struct{}), finished: make(chan struct{}), leave: make(chan struct{}),
		object: of.DeepCopy(), tokens: map[string]token{},
	}
	p.life, p.cancel = context.WithCancel(a.watching)
	p.job = slices.ContainsFunc(of.OwnerReferences, func(o metav1.OwnerReference) bool { return o.Kind == "Job" })
	p.executed, p.why = a.executes(of)
	return p, nil
}

// seen is the pod as the agent sees it.
func (p *pod) seen() *corev1.Pod {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.object.DeepCopy()
}

func (p *pod) update(to *corev1.Pod) {
	p.mu.Lock()
	defer p.mu.Unlock()
	to = to.DeepCopy()
	to.Status = p.object.Status
	p.object = to
}

// change changes the pod's status, and tells the API server.
func (p *pod) change(how func(status *corev1.PodStatus)) {
	p.telling.Lock()
	defer p.telling.Unlock()
	p.mu.Lock()
	how(&p.object.Status)
	p.judge()
	told := p.object.DeepCopy()
	p.mu.Unlock()
	p.refer(told)
	p.agent.notify(told)
}

// refer takes over from the API server what others write there: the writer of a status writes the
// whole object.
func (p *pod) refer(told *corev1.Pod) {
	latest, err := p.agent.lister.Pods(p.name.Namespace).Get(p.name.Name)
	if err != nil || latest.UID != p.uid {
		return // it is gone
	}
	told.ObjectMeta = *latest.ObjectMeta.DeepCopy()
	for _, theirs := range latest.Status.Conditions {
		if ours := theirs.Type; ours == corev1.PodScheduled || ours == corev1.DisruptionTarget {
			told.Status.Conditions = slices.DeleteFunc(told.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == ours })
			told.Status.Conditions = append(told.Status.Conditions, theirs)
		}
	}
}

// run does everything with the pod until it has ended.
func (p *pod) run() {
	defer close(p.ended)
	defer p.clear()
	defer p.agent.network.release(p.address)
	if !p.executed {
		p.pretend()
		return
	}
	p.change(p.begin)
	if !p.mount() {
		return
	}
	for i := range p.spec.InitContainers {
		if !p.complete(&p.spec.InitContainers[i], i) {
			return
		}
	}
	p.keep(&p.spec.Containers[0])
}

// begin gives the pod its address and the status of one whose containers do not exist yet. What an
// earlier run of the lab has left becomes the last state of its containers.
func (p *pod) begin(status *corev1.PodStatus) {
	if status.StartTime == nil {
		now := metav1.Now()
		status.StartTime = &now
	}
	status.Phase = corev1.PodPending
	status.PodIP, status.HostIP = p.address.String(), nodeAddress
	status.PodIPs, status.HostIPs = []corev1.PodIP{{IP: status.PodIP}}, []corev1.HostIP{{IP: nodeAddress}}
	status.InitContainerStatuses = created(status.InitContainerStatuses, p.spec.InitContainers)
	status.ContainerStatuses = created(status.ContainerStatuses, p.spec.Containers)
	setCondition(status, ConditionRuns, p.executed, map[bool]string{true: "Executed", false: "NotExecuted"}[p.executed], p.why)
}

// created are the statuses of containers that do not exist yet.
func created(before []corev1.ContainerStatus, containers []corev1.Container) []corev1.ContainerStatus {
	statuses := make([]corev1.ContainerStatus, len(containers))
	for i, c := range containers {
		statuses[i] = corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, Started: new(bool),
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}},
		}
		at := slices.IndexFunc(before, func(s corev1.ContainerStatus) bool { return s.Name == c.Name })
		if at < 0 {
			continue
		}
		statuses[i].RestartCount = before[at].RestartCount
		statuses[i].LastTerminationState = before[at].LastTerminationState
		if before[at].State.Running != nil { // the machine was switched off under it
			statuses[i].RestartCount++
			statuses[i].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{
				ExitCode: 255, Reason: "Unknown", StartedAt: before[at].State.Running.StartedAt, FinishedAt: metav1.Now(),
			}
		}
	}
	return statuses
}

// pretend makes a pod ready in which nothing runs. A pod of a Job has succeeded at once.
func (p *pod) pretend() {
	now := metav1.Now()
	done := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: now, FinishedAt: now}}
	runs := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}}
	ready := func(status *corev1.PodStatus) {
		p.begin(status)
		for i := range status.InitContainerStatuses {
			s := &status.InitContainerStatuses[i]
			s.Ready, s.State = true, done
			if always := p.spec.InitContainers[i].RestartPolicy; always != nil && *always == corev1.ContainerRestartPolicyAlways {
				s.State, *s.Started = runs, true
			}
		}
		for i := range status.ContainerStatuses {
			s := &status.ContainerStatuses[i]
			if s.Ready, s.State = !p.job, runs; p.job {
				s.State = done
			}
			*s.Started = !p.job
		}
		if status.Phase = corev1.PodRunning; p.job {
			status.Phase = corev1.PodSucceeded
		}
		for _, gate := range p.spec.ReadinessGates {
			setCondition(status, gate.ConditionType, true, "", "")
		}
	}
	// A pod that an earlier run of the lab has made ready stays so.
	if before := p.seen().Status; before.Phase != corev1.PodRunning || before.PodIP != p.address.String() {
		p.change(ready)
	}
	select {
	case <-p.leave:
		p.gone()
	case <-p.life.Done():
	}
}

// mount makes the pod's volumes, as soon as all that they need is there. It is false if the pod
// ends first.
func (p *pod) mount() bool {
	if len(p.spec.InitContainers) == 0 {
		p.waiting(-1, "ContainerCreating", "")
	}
	for said := ""; ; {
		err := p.writeVolumes(p.life)
		if err == nil {
			p.refreshing.Go(p.refresh)
			return true
		}
		if said != err.Error() {
			said = err.Error()
			p.events.Eventf(p.seen(), corev1.EventTypeWarning, "FailedMount", "MountVolume.SetUp failed for volume %v", err)
		}
		if !p.pause(retryInterval) {
			return false
		}
	}
}

// pause waits, and is false if the pod has to end meanwhile. Then a pod that is being deleted is
// gone.
func (p *pod) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.leave:
		p.gone()
		return false
	case <-p.life.Done():
		return false
	}
}

// statusOf returns the status of a container: the init container with the index, or, with -1, the
// container.
func statusOf(status *corev1.PodStatus, init int) *corev1.ContainerStatus {
	if init >= 0 {
		return &status.InitContainerStatuses[init]
	}
	return &status.ContainerStatuses[0]
}

func (p *pod) waiting(init int, reason, message string) {
	p.change(func(status *corev1.PodStatus) {
		s := statusOf(status, init)
		if s.State.Terminated != nil {
			s.LastTerminationState = s.State
		}
		s.Ready, *s.Started = false, false
		s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
	})
}

// complete runs an init container until it has succeeded. It is false if the pod ends first.
func (p *pod) complete(spec *corev1.Container, init int) bool {
	again := p.spec.RestartPolicy != corev1.RestartPolicyNever
	return p.repeat(spec, init, func(code int32) bool { return code != 0 && again }) == ended(0)
}

// keep runs the pod's container until the pod has ended.
func (p *pod) keep(spec *corev1.Container) {
	policy := p.spec.RestartPolicy
	p.repeat(spec, -1, func(code int32) bool {
		return policy == corev1.RestartPolicyAlways || policy == corev1.RestartPolicyOnFailure && code != 0
	})
}

// ended is how repeat ended: with the code of a container, or because the pod has to end.
type ended int32

const cutShort ended = -1

// The delays before a container is started again are the kubelet's: none at first, then 10 s and
// each time twice as long, to 5 minutes; a container that ran for 10 minutes begins again
// (Kubernetes
// 1.35, pkg/kubelet/kubelet.go and kuberuntime/kuberuntime_manager.go).
const (
	firstBackOff  = 10 * time.Second
	longBackOff   = 5 * time.Minute
	backOffForget = 10 * time.Minute
)

// repeat runs a container, and again while again says so.
func (p *pod) repeat(spec *corev1.Container, init int, again func(code int32) bool) ended {
	delay := time.Duration(0)
	for {
		began := time.Now()
		code, ok := p.once(spec, init)
		if !ok {
			return cutShort
		}
		if !again(code) {
			p.settle(init, code)
			return ended(code)
		}
		if time.Since(began) > backOffForget {
			delay = 0
		}
		if delay > 0 {
			message := fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)",
				delay, spec.Name, p.name.Name, p.name.Namespace, p.uid)
			p.waiting(init, "CrashLoopBackOff", message)
			p.events.Eventf(p.seen(), corev1.EventTypeWarning, "BackOff", "Back-off restarting failed container %s in pod %s_%s(%s)",
				spec.Name, p.name.Name, p.name.Namespace, p.uid)
			if !p.pause(delay) {
				return cutShort
			}
		}
		delay = min(max(2*delay, firstBackOff), longBackOff)
		p.change(func(status *corev1.PodStatus) { statusOf(status, init).RestartCount++ })
	}
}

// settle sets the phase of a pod when a container has ended for good.
func (p *pod) settle(init int, code int32) {
	p.change(func(status *corev1.PodStatus) {
		switch {
		case code != 0:
			status.Phase = corev1.PodFailed
		case init < 0:
			status.Phase = corev1.PodSucceeded
		}
	})
	if code == 0 && init >= 0 {
		return
	}
	select { // it stays until it is deleted
	case <-p.leave:
		p.gone()
	case <-p.life.Done():
	}
}

// once runs a container once, and returns its exit code. It is false if the pod ended first.
func (p *pod) once(spec *corev1.Container, init int) (code int32, ok bool) {
	c, ok := p.make(spec, init)
	if !ok {
		return 0, false
	}
	if c == nil { // it could not be started
		return startError, true
	}
	defer c.close()
	probing, stopProbing := context.WithCancel(p.life)
	defer stopProbing()
	go p.probe(probing, c, spec, init)
	select {
	case <-c.done:
	case <-p.leave:
		p.stop(c, spec, p.gracePeriod(), "")
	case <-p.life.Done():
		c.kill()
	}
	<-c.done
	stopProbing()
	p.mu.Lock()
	p.current = nil
	leaving := p.leaving
	p.mu.Unlock()
	code, reason := c.result()
	p.change(func(status *corev1.PodStatus) {
		s := statusOf(status, init)
		s.Ready, *s.Started = init >= 0 && code == 0, false
		s.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: code, Reason: reason, StartedAt: c.began, FinishedAt: metav1.Now(), ContainerID: s.ContainerID,
		}}
	})
	switch {
	case leaving:
		p.change(func(status *corev1.PodStatus) {
			if status.Phase = corev1.PodSucceeded; code != 0 {
				status.Phase = corev1.PodFailed
			}
		})
		p.gone()
		return code, false
	case p.life.Err() != nil:
		return code, false
	}
	return code, true
}

// startError is the exit code of a container whose program could not be started (containerd,
// internal/cri/server/container_start.go).
const startError = 128

// make makes and starts a container. It waits while something is missing, and is false if the pod
// ends meanwhile. The container is nil if its program cannot be started.
func (p *pod) make(spec *corev1.Container, init int) (*container, bool) {
	said := ""
	refuse := func(reason string, err error, event string) bool {
		p.waiting(init, reason, err.Error())
		if told := reason + err.Error(); told != said {
			said = told
			p.events.Eventf(p.seen(), corev1.EventTypeWarning, event, "Error: %v", err)
		}
		return p.pause(retryInterval)
	}
	image, ok := p.pull(spec, init)
	if !ok {
		return nil, false
	}
	for {
		if p.agent.options.Services != nil && p.agent.options.Services() == nil {
			if !p.withoutNetwork(init) {
				return nil, false
			}
			continue
		}
		plan, err := p.plan(p.life, spec, image)
		if err != nil {
			if !refuse("CreateContainerConfigError", err, "Failed") {
				return nil, false
			}
			continue
		}
		p.events.Event(p.seen(), corev1.EventTypeNormal, "Created", "Container created")
		attempt := statusOf(&p.seen().Status, init).RestartCount
		c, err := p.agent.startContainer(p.life, plan, p.logFile(spec.Name, int(attempt)))
		if err != nil {
			p.events.Eventf(p.seen(), corev1.EventTypeWarning, "Failed", "Error: %v", err)
			now := metav1.Now()
			p.change(func(status *corev1.PodStatus) {
				statusOf(status, init).State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
					ExitCode: startError, Reason: "StartError", Message: err.Error(), StartedAt: now, FinishedAt: now,
				}}
			})
			return nil, true
		}
		p.events.Event(p.seen(), corev1.EventTypeNormal, "Started", "Container started")
		p.mu.Lock()
		p.current = c
		p.mu.Unlock()
		p.change(func(status *corev1.PodStatus) {
			s := statusOf(status, init)
			if s.State.Terminated != nil {
				s.LastTerminationState = s.State
			}
			s.ImageID, s.ContainerID = image.id, fmt.Sprintf("gridos-lab://%s/%s/%d", p.uid, spec.Name, attempt)
			s.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: c.began}}
			*s.Started = init < 0 && spec.StartupProbe == nil
			s.Ready = *s.Started && spec.ReadinessProbe == nil
			if init < 0 {
				status.Phase = corev1.PodRunning
			}
		})
		return c, true
	}
}

// withoutNetwork lets a container wait as a kubelet does while its node has no network. It is false
// if the pod ends meanwhile.
func (p *pod) withoutNetwork(init int) bool {
	const why = "network is not ready: the servers outside of the cluster are not up yet"
	if s := statusOf(&p.seen().Status, init); s.State.Waiting == nil || s.State.Waiting.Message != why {
		p.waiting(init, "ContainerCreating", why)
		p.events.Event(p.seen(), corev1.EventTypeWarning, "NetworkNotReady", why)
	}
	return p.pause(retryInterval / 4)
}

// pull gets a container's image. It waits while it cannot, and is false if the pod ends meanwhile.
func (p *pod) pull(spec *corev1.Container, init int) (image, bool) {
	delay := firstBackOff / 5 // shorter than the kubelet's 10 s, as all waits of the lab
	for {
		present := p.agent.images.present(spec.Image)
		if pulls := spec.ImagePullPolicy == corev1.PullAlways || !present; pulls && spec.ImagePullPolicy != corev1.PullNever {
			p.events.Eventf(p.seen(), corev1.EventTypeNormal, "Pulling", "Pulling image %q", spec.Image)
		}
		found, pulled, err := p.agent.images.ensure(p.life, spec.Image, spec.ImagePullPolicy)
		if err == nil {
			message := fmt.Sprintf("Container image %q already present on machine", spec.Image)
			if pulled {
				message = fmt.Sprintf("Successfully pulled image %q", spec.Image)
			}
			p.events.Event(p.seen(), corev1.EventTypeNormal, "Pulled", message)
			return found, true
		}
		if errors.Is(err, errNeverPull) {
			p.waiting(init, "ErrImageNeverPull", err.Error())
		} else {
			p.events.Eventf(p.seen(), corev1.EventTypeWarning, "Failed", "Failed to pull image %q: %v", spec.Image, err)
			p.waiting(init, "ErrImagePull", err.Error())
			if !p.pause(retryInterval) {
				return image{}, false
			}
			p.events.Eventf(p.seen(), corev1.EventTypeNormal, "BackOff", "Back-off pulling image %q", spec.Image)
			p.waiting(init, "ImagePullBackOff", fmt.Sprintf("Back-off pulling image %q: %v", spec.Image, err))
		}
		if !p.pause(delay) {
			return image{}, false
		}
		delay = min(2*delay, longBackOff)
	}
}

// terminate lets the pod end within its grace period.
func (p *pod) terminate(of *corev1.Pod) {
	grace := int64(0) // of one that the API server has no more
	if of.DeletionTimestamp != nil && of.DeletionGracePeriodSeconds != nil {
		grace = *of.DeletionGracePeriodSeconds
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.object.DeletionTimestamp, p.object.DeletionGracePeriodSeconds = of.DeletionTimestamp, of.DeletionGracePeriodSeconds
	p.grace = time.Duration(grace) * time.Second
	if !p.leaving {
		p.leaving = true
		close(p.leave)
	} else if grace == 0 && p.current != nil {
		p.current.kill()
	}
}

func (p *pod) gracePeriod() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.grace
}

// stop ends a container: the hook, the signal, and after the grace period the kill.
func (p *pod) stop(c *container, spec *corev1.Container, grace time.Duration, message string) {
	if message == "" {
		message = "Stopping container " + spec.Name
	}
	p.events.Event(p.seen(), corev1.EventTypeNormal, "Killing", message)
	deadline := time.NewTimer(max(grace, 0))
	defer deadline.Stop()
	if spec.Lifecycle != nil && spec.Lifecycle.PreStop != nil && grace > 0 {
		hooked := make(chan error, 1)
		hooking, cancel := context.WithTimeout(p.life, grace)
		defer cancel()
		go func() { hooked <- p.hook(hooking, c, spec, spec.Lifecycle.PreStop) }()
		select {
		case err := <-hooked:
			if err != nil {
				p.events.Event(p.seen(), corev1.EventTypeWarning, "FailedPreStopHook", "PreStopHook failed")
			}
		case <-c.done:
			return
		case <-p.life.Done():
		}
	}
	c.terminate(context.WithoutCancel(p.life))
	select {
	case <-c.done:
	case <-deadline.C:
		c.kill()
	case <-p.life.Done():
		c.kill()
	}
}

// gone deletes the pod from the API server, which a kubelet does when no container is left.
func (p *pod) gone() {
	now := int64(0)
	err := p.agent.client.CoreV1().Pods(p.name.Namespace).Delete(p.life, p.name.Name, metav1.DeleteOptions{
		GracePeriodSeconds: &now, Preconditions: metav1.NewUIDPreconditions(string(p.uid)),
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) && p.life.Err() == nil {
		p.agent.note(err, "a pod that has ended is not deleted", "pod", p.name)
	}
	p.agent.mu.Lock()
	if p.agent.pods[p.name] == p {
		delete(p.agent.pods, p.name)
	}
	p.agent.mu.Unlock()
}

// clear deletes the pod's volumes, and all else of it if it is gone.
func (p *pod) clear() {
	close(p.finished)
	p.refreshing.Wait()
	left := filepath.Join(p.dir, volumesDir)
	if p.agent.find(p.name) != p {
		left = p.dir
	}
	if err := os.RemoveAll(left); err != nil {
		p.agent.note(err, "the folder of a pod stays", "pod", p.name)
	}
}

func (p *pod) dial(ctx context.Context, from netip.Addr, port uint16) (net.Conn, error) {
	p.mu.Lock()
	c := p.current
	p.mu.Unlock()
	if c == nil {
		return nil, fmt.Errorf("connect to %s: no container of pod %s runs", netip.AddrPortFrom(p.address, port), p.name)
	}
	return c.dial(ctx, from, netip.AddrPortFrom(p.address, port))
}

func (p *pod) logFile(container string, attempt int) string {
	return filepath.Join(p.dir, "logs", container, fmt.Sprintf("%d.log", attempt))
}
