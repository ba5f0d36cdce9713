-- Health of an AgentType for Argo CD: ConfigMap argocd-cm, key resource.customizations.health.agents.example.com_AgentType
local health = {status = "Progressing", message = "the operator has not looked at this spec yet"}
local status = obj.status
if status == nil or status.observedGeneration ~= obj.metadata.generation then
  return health
end
local ready = nil
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Ready" then
    ready = condition
  end
end
if ready == nil then
  return health
end
health.message = ready.reason .. ": " .. (ready.message or "")
if ready.status == "True" then
  health.status = "Healthy"
elseif status.phase == "Failed" then
  health.status = "Degraded"
elseif ready.reason == "Suspended" then
  health.status = "Suspended"
end
return health
