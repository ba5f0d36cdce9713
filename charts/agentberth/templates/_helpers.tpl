{{- define "agentberth.image" -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag }}{{ end -}}
{{- end -}}

{{- define "agentberth.labels" -}}
app.kubernetes.io/name: agentberth-operator
app.kubernetes.io/part-of: agentberth
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A file of the chart with what this installation decides in the place of its marks. */}}
{{- define "agentberth.file" -}}
{{- $labels := "" -}}
{{- with .root.Values.labels }}{{ $labels = toYaml . | nindent 4 | trimPrefix "\n" | printf "%s\n" }}{{ end -}}
{{- $podLabels := "" -}}
{{- with .root.Values.labels }}{{ $podLabels = toYaml . | nindent 8 | trimPrefix "\n" | printf "%s\n" }}{{ end -}}
{{- .root.Files.Get .file | replace "    __LABELS__: ''\n" $labels | replace "        __POD_LABELS__: ''\n" $podLabels | replace "__CONSOLE_IMAGE__" (include "agentberth.image" .root.Values.console.image) | replace "__PREFIX__" .root.Values.namePrefix | replace "__NAMESPACE__" .root.Release.Namespace | replace "__WATCHED__" (.watched | default "") -}}
{{- end -}}
