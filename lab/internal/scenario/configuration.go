package scenario

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/cluster/mesh"
	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
	"github.com/gridos/sharedinfra/lab/internal/delivery/manifests"
)

// reconfigure changes the configuration of the lab's environment by a commit, and waits until Argo
// Rollouts has a revision for it: a variable of the pods, and each ConfigMap that Git has. The
// image stays the same; reconfigure returns its tag.
func (s *Stage) reconfigure(ctx context.Context) (commit, tag string, err error) {
	state, err := s.observer.State()
	if err != nil {
		return "", "", err
	}
	objects, err := s.render(ctx, s.options.Environment)
	if err != nil {
		return "", "", err
	}
	const first, patch = "patches:\n", "- patch: |-\n"
	configMaps, now := "", time.Now().Unix() // another one each time
	if slices.ContainsFunc(objects, func(o manifests.Object) bool { return o.GetKind() == "ConfigMap" }) {
		// A generated one gets another name, and the sync prunes the one before.
		configMaps = fmt.Sprintf(patch+"    - op: add\n      path: /data/changed-at-%d\n      value: by a commit\n"+
			"  target:\n    kind: ConfigMap\n", now)
	}
	setting := fmt.Sprintf("    - op: add\n      path: /spec/template/spec/containers/0/env/-\n"+
		"      value:\n        name: CHANGED_AT_%d\n        value: by a commit\n", now)
	if err := s.work.Replace(path.Join(s.overlay(), "kustomization.yaml"), first+patch, first+configMaps+patch+setting); err != nil {
		return "", "", err
	}
	if commit, err = s.commit(ctx, "chore: configure "+s.options.Environment); err != nil {
		return "", "", err
	}
	if _, err := s.synced(ctx, commit); err != nil {
		return "", "", err
	}
	if _, err := s.observer.Until(ctx, "there is a new revision", func(now argo.State) (bool, error) {
		return now.Rollout.Status.CurrentPodHash != state.Rollout.Status.CurrentPodHash, nil
	}); err != nil {
		return "", "", err
	}
	return commit, tagOf(state.Rollout.Image()), nil
}

// configChange changes dev's configuration, and none of another environment.
func configChange(ctx context.Context, s *Stage) (string, error) {
	others := slices.DeleteFunc(slices.Clone(naming.Environments()), func(e string) bool { return e == s.options.Environment })
	before, err := s.rendered(ctx)
	if err != nil {
		return "", err
	}
	state, err := s.observer.State()
	if err != nil {
		return "", err
	}
	commit, tag, err := s.reconfigure(ctx)
	if err != nil {
		return "", err
	}
	after, err := s.rendered(ctx)
	if err != nil {
		return "", err
	}
	if after[s.options.Environment] == before[s.options.Environment] {
		return "", fmt.Errorf("%s renders as before", s.options.Environment)
	}
	for _, environment := range others {
		if after[environment] != before[environment] {
			return "", fmt.Errorf("%s renders differently", environment)
		}
	}
	c, err := s.follow(ctx, tag, throughout)
	if err != nil {
		return "", err
	}
	if !s.promoted(c.State) || c.State.Rollout.Image() != state.Rollout.Image() {
		return "", fmt.Errorf("the same image with the new configuration was not promoted: %s", c.State.Rollout.Status.Message)
	}
	s.keep, s.last = true, &promotion{"the configuration", commit, state}
	return fmt.Sprintf("the same image with another configuration at %v %%; %s render the same byte for byte",
		c.Weights, strings.Join(others, " and ")), nil
}

// rendered returns the manifests of all environments, by environment.
func (s *Stage) rendered(ctx context.Context) (map[string]string, error) {
	all := map[string]string{}
	for _, environment := range naming.Environments() {
		objects, err := s.render(ctx, environment)
		if err != nil {
			return nil, err
		}
		for _, object := range objects {
			text, err := object.MarshalJSON()
			if err != nil {
				return nil, err
			}
			all[environment] += string(text)
		}
	}
	return all, nil
}

// configAbort aborts a change of the configuration by hand. While it is a canary, and again
// afterwards, a stable pod is deleted and one is added. Then the change is reverted.
func configAbort(ctx context.Context, s *Stage) (string, error) {
	s.last = nil // undo would go back to the revision that this scenario aborts
	before, err := s.observer.State()
	if err != nil {
		return "", err
	}
	stable := before.Rollout.Status.StableRS
	commit, tag, err := s.reconfigure(ctx)
	if err != nil {
		return "", err
	}
	if _, err := s.follow(ctx, tag, func(state argo.State) (bool, error) { return state.Routing.Canary > 0, nil }); err != nil {
		return "", err
	}
	if err := s.restart(ctx, stable); err != nil {
		return "", fmt.Errorf("while the change was a canary: %w", err)
	}
	if err := s.rollouts(ctx, "abort"); err != nil {
		return "", err
	}
	c, err := s.follow(ctx, tag, throughout)
	if err != nil {
		return "", err
	}
	if !c.State.Rollout.Status.Abort || c.State.Rollout.Status.StableRS != stable {
		return "", fmt.Errorf("it was not aborted in favour of %s: the Rollout is %s, stable is %s",
			stable, c.State.Rollout.Status.Phase, c.State.Rollout.Status.StableRS)
	}
	if err := s.restart(ctx, stable); err != nil {
		return "", fmt.Errorf("after the abort: %w", err)
	}
	added, err := s.scaleUp(ctx, stable)
	if err != nil {
		return "", fmt.Errorf("after the abort: %w", err)
	}
	reverted, err := s.work.Revert(ctx, commit)
	if err != nil {
		return "", err
	}
	if err := s.push(ctx, reverted, "git revert "+short(commit)); err != nil {
		return "", err
	}
	if _, err := s.synced(ctx, reverted); err != nil {
		return "", err
	}
	analyses, err := s.back(ctx, before)
	if err != nil {
		return "", err
	}
	if analyses > 0 {
		return "", fmt.Errorf("going back took %d analyses, and should take none", analyses)
	}
	if err := s.scaleBack(ctx, stable, added-1); err != nil {
		return "", err
	}
	return fmt.Sprintf("stable pods restarted during the canary and after the abort, and became %d; git revert brought the "+
		"configuration back without an analysis", added), nil
}

// restart deletes a pod of a revision and waits until another is ready in its place.
func (s *Stage) restart(ctx context.Context, hash string) error {
	before, err := s.readyPods(ctx, hash)
	if err != nil {
		return err
	}
	if len(before) == 0 {
		return fmt.Errorf("the revision %s has no ready pod to delete", hash)
	}
	pod := before[0]
	if err := s.cluster.Core.CoreV1().Pods(naming.NamespaceGridOS).Delete(ctx, pod.Name, metav1.DeleteOptions{}); err != nil {
		return err
	}
	s.tell("restart", "deleted the stable pod %s", pod.Name)
	return eventually(ctx, "another pod is in the place of "+pod.Name, func(ctx context.Context) (bool, error) {
		now, err := s.readyPods(ctx, hash)
		return len(now) >= len(before) && !slices.ContainsFunc(now, func(p corev1.Pod) bool { return p.UID == pod.UID }), err
	})
}

// leastPods is what a patch says of the least number of pods.
const leastPods = "      path: /spec/minReplicas\n      value: %d\n"

// scaleUp raises the least number of pods by a commit, and returns the number of a revision's pods
// after the autoscaler has followed. With the commit the autoscaler forgets the load that it has
// seen, such as that of starting pods: it would keep the pod for five minutes after it.
func (s *Stage) scaleUp(ctx context.Context, hash string) (pods int, err error) {
	before, err := s.readyPods(ctx, hash)
	if err != nil {
		return 0, err
	}
	file, want := path.Join(s.overlay(), "kustomization.yaml"), len(before)+1
	overlay, err := s.work.ReadFile(file)
	if err != nil {
		return 0, err
	}
	patch := fmt.Sprintf("- patch: |-\n    - op: add\n      path: /spec/behavior/scaleDown/stabilizationWindowSeconds\n      value: 0\n"+
		"    - op: replace\n"+leastPods+"  target:\n    kind: HorizontalPodAutoscaler\n", want) // the patches are the overlay's last field
	if err := s.work.WriteFile(file, append(overlay, patch...)); err != nil {
		return 0, err
	}
	if _, err := s.commit(ctx, "feat: one more pod"); err != nil {
		return 0, err
	}
	what := fmt.Sprintf("the revision %s has %d ready pods", hash, want)
	return want, eventually(ctx, what, func(ctx context.Context) (bool, error) {
		now, err := s.readyPods(ctx, hash)
		return len(now) >= want, err
	})
}

// scaleBack lowers the least number again, and waits until the autoscaler has removed the pod, so
// that the next scenario does not lose it halfway.
func (s *Stage) scaleBack(ctx context.Context, hash string, pods int) error {
	file := path.Join(s.overlay(), "kustomization.yaml")
	if err := s.work.Replace(file, fmt.Sprintf(leastPods, pods+1), fmt.Sprintf(leastPods, pods)); err != nil {
		return err
	}
	if _, err := s.commit(ctx, "feat: as many pods as before"); err != nil {
		return err
	}
	return eventually(ctx, fmt.Sprintf("the revision %s has %d pods again", hash, pods), func(ctx context.Context) (bool, error) {
		now, err := s.pods(ctx, hash)
		return len(now) == pods, err
	})
}

// readyPods returns the pods of a revision that serve.
func (s *Stage) readyPods(ctx context.Context, hash string) ([]corev1.Pod, error) {
	of := metav1.ListOptions{LabelSelector: argo.RevisionLabel + "=" + hash}
	list, err := s.cluster.Core.CoreV1().Pods(naming.NamespaceGridOS).List(ctx, of)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list.Items, func(pod corev1.Pod) bool { return !mesh.Ready(&pod) }), nil
}
