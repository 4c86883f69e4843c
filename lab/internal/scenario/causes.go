package scenario

import (
	"context"
	"errors"
	"path"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gridos/sharedinfra/internal/naming"
	"github.com/gridos/sharedinfra/lab/internal/delivery"
	"github.com/gridos/sharedinfra/lab/internal/delivery/argo"
	"github.com/gridos/sharedinfra/lab/internal/delivery/gitops"
)

// Provocations returns all of them, in the order in which they are made. The burn rates come late,
// when the requests that failed while the lab started have left their windows, and a failed release
// comes after them.
func Provocations() []Provocation {
	const hook = "a commit with a hook that does not end"
	return []Provocation{
		{[]string{"ReleaseIsPaused"}, "`kubectl argo rollouts pause`, and a release", nil, pausedByHand},
		{[]string{"PodsAreMissing"}, "a pod is deleted, and a quota refuses another one", nil, noRoom},
		{[]string{"ApplicationIsOutOfSync", "SyncIsStuck"}, hook, nil, endlessHook},
		{[]string{"SyncStatusUnknown"}, "the Git host does not answer", nil, withoutGit},
		{
			[]string{"SecretIsNotRefreshed"},
			"a commit that asks for a secret that the key vault does not have",
			map[string]string{"name": "gridos-secrets"},
			missingSecret,
		},
		{[]string{"TargetIsDown"}, "the process of Argo Rollouts is stopped (SIGSTOP)", nil, hangingProcess},
		{
			[]string{"NothingIsScraped"},
			"the gateway's pods lose the annotation `prometheus.io/scrape`",
			map[string]string{"istio": naming.IstioInternalIngress},
			unscraped,
		},
		{[]string{"RuleFails"}, "a rule that finds two series where it may find one", nil, failingRule},
		{[]string{"TelemetryIsLate"}, "the senders of telemetry send nothing", nil, silence},
		{
			[]string{"RequestsFail", "RequestsFailSlowly"},
			"a release that answers half of the reads with 500, promoted past its analyses",
			nil,
			living(failing),
		},
		{
			[]string{"RequestsAreSlow", "RequestsAreSlowOften"},
			"a release that answers half of the reads after 1.5 seconds, promoted past its analyses",
			nil,
			living(sluggish),
		},
		{[]string{"ReleaseFailed", "ApplicationIsUnhealthy"}, "a release that answers half of the reads with 500", nil, failingRelease},
	}
}

// NotProvoked returns the alerts that the lab cannot provoke, each with the reason.
func NotProvoked() map[string]string {
	return map[string]string{
		"DatabaseConnectionsRunOut": "the lab's users need few of a pod's eight connections to the database",
		"SecretStoreIsNotReady":     "the lab's stand-in for External Secrets gives a ClusterSecretStore no condition",
	}
}

// living makes a bad version the one that users have: a person promotes it past its analyses.
func living(bad fault) func(context.Context, *Stage) (cause, error) {
	return func(ctx context.Context, s *Stage) (cause, error) {
		c, err := releasing(ctx, s, bad)
		if err != nil {
			return cause{}, err
		}
		promoted := func(change func(context.Context) error) func(context.Context) error {
			return func(ctx context.Context) error {
				if err := change(ctx); err != nil {
					return err
				}
				head, err := s.work.Head(ctx)
				if err != nil {
					return err
				}
				if _, err := s.synced(ctx, head); err != nil {
					return err
				}
				begun := "Argo Rollouts has begun with it"
				if _, err := s.observer.Until(ctx, begun, func(state argo.State) (bool, error) {
					return state.Rollout.Seen() && state.Rollout.Status.CurrentPodHash != state.Rollout.Status.StableRS, nil
				}); err != nil {
					return err
				}
				return s.rollouts(ctx, "promote", "--full")
			}
		}
		return cause{promoted(c.begin), promoted(c.end)}, nil
	}
}

func silence(_ context.Context, s *Stage) (cause, error) {
	rate := func(perSecond float64) func(context.Context) error {
		return func(ctx context.Context) error { return s.options.Lab.SetRate(ctx, perSecond) }
	}
	return cause{rate(0), rate(gitops.RequestRate)}, nil
}

// committed is a cause that a commit makes, and its revert ends.
func (s *Stage) committed(message string, edit func(ctx context.Context) error) cause {
	commit := ""
	return cause{
		begin: func(ctx context.Context) (err error) {
			if err := edit(ctx); err != nil {
				return err
			}
			commit, err = s.commit(ctx, message)
			return err
		},
		end: func(ctx context.Context) error {
			if commit == "" {
				return nil
			}
			reverted, err := s.work.Revert(ctx, commit)
			if err != nil {
				return err
			}
			return s.push(ctx, reverted, "git revert "+short(commit))
		},
	}
}

// releasing is a cause that the commit of a new version makes.
func releasing(ctx context.Context, s *Stage, mistake fault) (cause, error) {
	s.last = nil // undo would go back to the version that this releases
	built, err := s.build(ctx, mistake)
	if err != nil {
		return cause{}, err
	}
	return s.committed("chore: update the image to "+built.Tag, func(ctx context.Context) error {
		return s.work.SetImage(ctx, s.options.Kustomize, s.overlay(), imageName+"="+built.Reference)
	}), nil
}

func failingRelease(ctx context.Context, s *Stage) (cause, error) { return releasing(ctx, s, failing) }

// pausedByHand pauses a release. A Rollout that is paused while no release is under way is
// Completed all the same (argo-rollouts v1.9.0, rollout/sync.go, checkPausedConditions). The end
// skips the pauses of the release itself, which are longer than the rule's wait divided by 60.
func pausedByHand(ctx context.Context, s *Stage) (cause, error) {
	c, err := releasing(ctx, s, nil)
	if err != nil {
		return cause{}, err
	}
	return cause{
		begin: func(ctx context.Context) error {
			if err := s.rollouts(ctx, "pause"); err != nil {
				return err
			}
			return c.begin(ctx)
		},
		end: func(ctx context.Context) error { return s.rollouts(ctx, "promote", "--full") },
	}, nil
}

// noRoom makes a quota that is used up, in place of nodes without room.
func noRoom(_ context.Context, s *Stage) (cause, error) {
	const name = "gridos-no-more-pods"
	quotas, pods := s.cluster.Core.CoreV1().ResourceQuotas(naming.NamespaceGridOS), s.cluster.Core.CoreV1().Pods(naming.NamespaceGridOS)
	return cause{
		begin: func(ctx context.Context) error {
			state, err := s.observer.State()
			if err != nil {
				return err
			}
			serving, err := s.readyPods(ctx, state.Rollout.Status.StableRS)
			if err != nil {
				return err
			}
			if len(serving) == 0 {
				return errors.New("there is no pod to delete")
			}
			quota := &corev1.ResourceQuota{
				ObjectMeta: metav1.ObjectMeta{Name: name},
				Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}},
			}
			if _, err := quotas.Create(ctx, quota, metav1.CreateOptions{}); err != nil {
				return err
			}
			// Until the quota has been counted the API server takes it for none.
			if err := eventually(ctx, "the quota has been counted", func(ctx context.Context) (bool, error) {
				counted, err := quotas.Get(ctx, name, metav1.GetOptions{})
				return err == nil && len(counted.Status.Used) > 0, err
			}); err != nil {
				return err
			}
			return pods.Delete(ctx, serving[0].Name, metav1.DeleteOptions{})
		},
		end: func(ctx context.Context) error {
			if err := quotas.Delete(ctx, name, metav1.DeleteOptions{}); !apierrors.IsNotFound(err) {
				return err
			}
			return nil
		},
	}, nil
}

// endlessHook commits a hook whose Job is suspended, and an object that is applied after it. A sync
// does not end because its commit is reverted, so that the end of the cause terminates it, as
// `argocd app terminate-op` does (argo-cd v3.2.11, server/application/application.go,
// TerminateOperation).
func endlessHook(_ context.Context, s *Stage) (cause, error) {
	const job = `apiVersion: batch/v1
kind: Job
metadata:
  name: gridos-endless
  annotations: {argocd.argoproj.io/hook: PreSync}
spec:
  suspend: true
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: endless
        image: ` + imageName + "\n"
	c := s.committed("feat: a hook that does not end", func(context.Context) error {
		if err := s.work.WriteFile(path.Join(s.overlay(), "endless.yaml"), []byte(job)); err != nil {
			return err
		}
		return errors.Join(s.addResource("endless.yaml"), s.addConfigMap("gridos-after-the-hook", ""))
	})
	return cause{c.begin, func(ctx context.Context) error {
		if err := c.end(ctx); err != nil {
			return err
		}
		return s.terminate(ctx)
	}}, nil
}

func withoutGit(_ context.Context, s *Stage) (cause, error) {
	away := func(is bool) func(context.Context) error {
		return func(ctx context.Context) error {
			return errors.Join(s.options.Lab.SetAway(ctx, gitops.Git, is), s.annotate(ctx, refresh, `"hard"`))
		}
	}
	return cause{away(true), away(false)}, nil
}

// missingSecret first makes External Secrets look every five seconds: its five minutes are longer
// than the half an hour of the rule, divided by 60.
func missingSecret(ctx context.Context, s *Stage) (cause, error) {
	file := path.Join(naming.Manifests(s.options.Environment), "external-secret.yaml")
	if err := s.work.Replace(file, "  refreshInterval: 5m\n", "  refreshInterval: 5s\n"); err != nil {
		return cause{}, err
	}
	commit, err := s.commit(ctx, "feat: look for secrets every five seconds")
	if err != nil {
		return cause{}, err
	}
	if _, err := s.synced(ctx, commit); err != nil {
		return cause{}, err
	}
	return s.committed("feat: a secret that is not there", func(context.Context) error {
		return s.work.Replace(file, "key: gridos-ingest-token\n", "key: gridos-no-such-token\n")
	}), nil
}

// hangingProcess stops the process of Argo Rollouts. It has nothing to do meanwhile.
func hangingProcess(ctx context.Context, s *Stage) (cause, error) {
	component, err := s.component(ctx, delivery.Rollouts)
	if err != nil {
		return cause{}, err
	}
	send := func(signal syscall.Signal) func(context.Context) error {
		return func(context.Context) error { return syscall.Kill(component.PID, signal) }
	}
	return cause{send(syscall.SIGSTOP), send(syscall.SIGCONT)}, nil
}

func unscraped(_ context.Context, s *Stage) (cause, error) {
	pods := s.cluster.Core.CoreV1().Pods(naming.NamespaceIstioIngress)
	annotate := func(value string) func(context.Context) error {
		return func(ctx context.Context) error {
			all, err := pods.List(ctx, metav1.ListOptions{LabelSelector: "istio=" + naming.IstioInternalIngress})
			if err != nil {
				return err
			}
			patch := []byte(`{"metadata":{"annotations":{"prometheus.io/scrape":` + value + `}}}`)
			for _, pod := range all.Items {
				_, failed := pods.Patch(ctx, pod.Name, types.MergePatchType, patch, metav1.PatchOptions{})
				err = errors.Join(err, failed)
			}
			return err
		}
	}
	return cause{annotate("null"), annotate(`"true"`)}, nil
}

func failingRule(_ context.Context, s *Stage) (cause, error) {
	rules := s.rules
	with := rules
	with.Groups = append(with.Groups[:len(with.Groups):len(with.Groups)], delivery.RuleGroup{
		Name: "gridos-fails", Rules: []delivery.Rule{{Record: "gridos:fails", Expr: "up + on () up"}},
	})
	use := func(rules delivery.Rules) func(context.Context) error {
		return func(ctx context.Context) error { return s.UseRules(ctx, rules) }
	}
	return cause{use(with), use(rules)}, nil
}
