package nodeagent

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// judge sets the conditions that follow from the containers, as a kubelet does (Kubernetes 1.35,
// pkg/kubelet/status/generate.go). It must be called with p.mu held.
func (p *pod) judge() {
	status := &p.object.Status
	unready := func(statuses []corev1.ContainerStatus) (names []string) {
		for _, s := range statuses {
			if !s.Ready {
				names = append(names, s.Name)
			}
		}
		return names
	}
	completed := status.Phase == corev1.PodSucceeded
	if waiting := unready(status.InitContainerStatuses); len(waiting) > 0 && !completed {
		setCondition(status, corev1.PodInitialized, false, "ContainersNotInitialized",
			fmt.Sprintf("containers with incomplete status: [%s]", strings.Join(waiting, " ")))
	} else {
		setCondition(status, corev1.PodInitialized, true, reasonIf(completed, "PodCompleted"), "")
	}
	waiting := unready(status.ContainerStatuses)
	switch {
	case completed:
		setCondition(status, corev1.ContainersReady, false, "PodCompleted", "")
		setCondition(status, corev1.PodReady, false, "PodCompleted", "")
	case status.Phase == corev1.PodFailed:
		setCondition(status, corev1.ContainersReady, false, "PodFailed", "")
		setCondition(status, corev1.PodReady, false, "PodFailed", "")
	case len(waiting) > 0:
		message := fmt.Sprintf("containers with unready status: [%s]", strings.Join(waiting, " "))
		setCondition(status, corev1.ContainersReady, false, "ContainersNotReady", message)
		setCondition(status, corev1.PodReady, false, "ContainersNotReady", message)
	default:
		setCondition(status, corev1.ContainersReady, true, "", "")
		gates := slices.ContainsFunc(p.spec.ReadinessGates, func(gate corev1.PodReadinessGate) bool {
			return !isTrue(status, gate.ConditionType)
		})
		if gates {
			setCondition(status, corev1.PodReady, false, "ReadinessGatesNotReady", "a readiness gate is not True")
		} else {
			setCondition(status, corev1.PodReady, true, "", "")
		}
	}
}

func reasonIf(is bool, reason string) string {
	if is {
		return reason
	}
	return ""
}

func isTrue(status *corev1.PodStatus, kind corev1.PodConditionType) bool {
	return slices.ContainsFunc(status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == kind && c.Status == corev1.ConditionTrue
	})
}

// setCondition sets a condition, and the time at which its status changed.
func setCondition(status *corev1.PodStatus, kind corev1.PodConditionType, is bool, reason, message string) {
	condition := corev1.PodCondition{
		Type: kind, Status: corev1.ConditionFalse, Reason: reason, Message: message, LastTransitionTime: metav1.Now(),
	}
	if is {
		condition.Status = corev1.ConditionTrue
	}
	at := slices.IndexFunc(status.Conditions, func(c corev1.PodCondition) bool { return c.Type == kind })
	if at < 0 {
		status.Conditions = append(status.Conditions, condition)
		return
	}
	if status.Conditions[at].Status == condition.Status {
		condition.LastTransitionTime = status.Conditions[at].LastTransitionTime
	}
	status.Conditions[at] = condition
}
