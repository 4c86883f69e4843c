package nodeagent

import (
	"context"

	"github.com/virtual-kubelet/virtual-kubelet/errdefs"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// provider is what virtual-kubelet's controller tells of the pods that the API server has.
type provider struct{ *Agent }

func nameOf(of *corev1.Pod) types.NamespacedName {
	return types.NamespacedName{Namespace: of.Namespace, Name: of.Name}
}

// NotifyPods takes the function that writes a pod's status to the API server.
func (p provider) NotifyPods(_ context.Context, notify func(*corev1.Pod)) { p.notify = notify }

// CreatePod starts a pod.
func (p provider) CreatePod(_ context.Context, of *corev1.Pod) error {
	started, err := p.newPod(of)
	if err != nil {
		return err
	}
	p.mu.Lock()
	before := p.pods[nameOf(of)]
	p.pods[nameOf(of)] = started
	p.mu.Unlock()
	if before != nil { // one of the same name that is gone from the API server
		before.cancel()
		<-before.ended
	}
	go started.run()
	return nil
}

// UpdatePod takes labels and annotations; nothing else of a pod that runs can change here.
func (p provider) UpdatePod(_ context.Context, of *corev1.Pod) error {
	if found := p.find(nameOf(of)); found != nil {
		found.update(of)
	}
	return nil
}

// DeletePod ends a pod within its grace period; it does not wait for that. A pod that the API
// server has no more ends at once.
func (p provider) DeletePod(_ context.Context, of *corev1.Pod) error {
	found := p.find(nameOf(of))
	if found == nil || found.uid != of.UID {
		return errdefs.NotFoundf("pod %s is not here", nameOf(of))
	}
	found.terminate(of)
	return nil
}

// GetPod returns a pod as the agent sees it.
func (p provider) GetPod(_ context.Context, namespace, name string) (*corev1.Pod, error) {
	found := p.find(types.NamespacedName{Namespace: namespace, Name: name})
	if found == nil {
		return nil, errdefs.NotFoundf("pod %s/%s is not here", namespace, name)
	}
	return found.seen(), nil
}

// GetPodStatus returns the status of a pod as the agent sees it.
func (p provider) GetPodStatus(ctx context.Context, namespace, name string) (*corev1.PodStatus, error) {
	found, err := p.GetPod(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	return &found.Status, nil
}

// GetPods returns all pods as the agent sees them.
func (p provider) GetPods(context.Context) ([]*corev1.Pod, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*corev1.Pod
	for _, found := range p.pods {
		all = append(all, found.seen())
	}
	return all, nil
}
