// An operator of the same children on controller-runtime, to be measured beside ours.
//
// It makes the children that are missing, says in the status whether the Deployment is ready, and tells of that in an
// event. It watches the Pods, too, as an operator must that is to say why one does not start; it says nothing about them.
// It renders nothing: the children come as a template with {name} in them.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"

	"go.uber.org/zap/zapcore"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

var agentTypes = schema.GroupVersionKind{Group: "agents.example.com", Version: "v1", Kind: "AgentType"}

const agentLabel = "agents.example.com/agent"

type reconciler struct {
	client    client.Client
	events    record.EventRecorder
	templates []string
}

func main() {
	kubeconfig := flag.String("config", "", "kubeconfig file")
	namespace := flag.String("namespace", "", "namespace to watch")
	children := flag.String("children", "", "JSON list of the children, with {name} for the AgentType's name")
	workers := flag.Int("workers", 32, "AgentTypes reconciled at once")
	flag.Parse()
	if err := run(*kubeconfig, *namespace, *children, *workers); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(kubeconfig, namespace, children string, workers int) error {
	log.SetLogger(zap.New(zap.Level(zapcore.ErrorLevel)))
	templates, err := read(children)
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1 // no limit of its own, as ours has none
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:  scheme.Scheme,
		Cache:   cache.Options{DefaultNamespaces: map[string]cache.Config{namespace: {}}},
		Client:  client.Options{Cache: &client.CacheOptions{Unstructured: true}},
		Metrics: server.Options{BindAddress: "0"},
	})
	if err != nil {
		return err
	}
	agent := &unstructured.Unstructured{}
	agent.SetGroupVersionKind(agentTypes)
	err = ctrl.NewControllerManagedBy(manager).
		For(agent).
		Owns(&corev1.ServiceAccount{}).Owns(&corev1.ConfigMap{}).Owns(&networkingv1.NetworkPolicy{}).
		Owns(&corev1.Service{}).Owns(&appsv1.Deployment{}).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(agentOf)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(&reconciler{manager.GetClient(), manager.GetEventRecorderFor("peer"), templates})
	if err != nil {
		return err
	}
	return manager.Start(ctrl.SetupSignalHandler())
}

func agentOf(_ context.Context, pod client.Object) []ctrl.Request {
	name := types.NamespacedName{Namespace: pod.GetNamespace(), Name: pod.GetLabels()[agentLabel]}
	return []ctrl.Request{{NamespacedName: name}}
}

func read(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var documents []json.RawMessage
	if err := json.Unmarshal(text, &documents); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	templates := make([]string, len(documents))
	for at, document := range documents {
		templates[at] = string(document)
	}
	return templates, nil
}

// Reconcile makes what is missing and tells the state.
func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	agent := &unstructured.Unstructured{}
	agent.SetGroupVersionKind(agentTypes)
	if err := r.client.Get(ctx, request.NamespacedName, agent); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	for _, template := range r.templates {
		if err := r.ensure(ctx, agent, template); err != nil {
			return ctrl.Result{}, err
		}
	}
	return ctrl.Result{}, r.tell(ctx, agent)
}

func (r *reconciler) ensure(ctx context.Context, agent *unstructured.Unstructured, template string) error {
	raw := []byte(strings.ReplaceAll(template, "{name}", agent.GetName()))
	child := &unstructured.Unstructured{}
	if err := child.UnmarshalJSON(raw); err != nil {
		return err
	}
	object, err := scheme.Scheme.New(child.GroupVersionKind())
	if err != nil {
		return err
	}
	typed := object.(client.Object)
	if err := json.Unmarshal(raw, typed); err != nil {
		return err
	}
	live := reflect.New(reflect.TypeOf(typed).Elem()).Interface().(client.Object)
	key := types.NamespacedName{Namespace: agent.GetNamespace(), Name: typed.GetName()}
	if err := r.client.Get(ctx, key, live); !apierrors.IsNotFound(err) {
		return err
	}
	if err := ctrl.SetControllerReference(agent, typed, scheme.Scheme); err != nil {
		return err
	}
	err = r.client.Create(ctx, typed)
	if apierrors.IsAlreadyExists(err) { // made by a pass whose write has not reached the cache yet
		return nil
	}
	return err
}

func (r *reconciler) tell(ctx context.Context, agent *unstructured.Unstructured) error {
	deployment := &appsv1.Deployment{}
	key := types.NamespacedName{Namespace: agent.GetNamespace(), Name: agent.GetName()}
	if err := r.client.Get(ctx, key, deployment); client.IgnoreNotFound(err) != nil {
		return err
	}
	phase, reason, truth := "Pending", "Progressing", "False"
	if deployment.Status.ReadyReplicas > 0 {
		phase, reason, truth = "Running", "Ready", "True"
	}
	if known, _, _ := unstructured.NestedString(agent.Object, "status", "reason"); known == reason {
		return nil
	}
	before := agent.DeepCopy()
	ready := map[string]any{
		"type": "Ready", "status": truth, "reason": reason, "message": "",
		"observedGeneration": agent.GetGeneration(), "lastTransitionTime": metav1.Now().UTC().Format("2006-01-02T15:04:05Z"),
	}
	agent.Object["status"] = map[string]any{
		"phase": phase, "reason": reason, "observedGeneration": agent.GetGeneration(),
		"replicas": int64(deployment.Status.Replicas), "readyReplicas": int64(deployment.Status.ReadyReplicas),
		"conditions": []any{ready},
	}
	if err := r.client.Status().Patch(ctx, agent, client.MergeFrom(before)); err != nil {
		return err
	}
	if truth == "True" {
		r.events.Event(agent, corev1.EventTypeNormal, reason, "1 of 1 Pods ready")
	}
	return nil
}
