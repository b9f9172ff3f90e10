#include "backends/rocm/device/graph.h"

namespace rocm {

Graph::Graph(hipStream_t stream, const std::function<void()>& queue) {
  // Other threads go on using the device meanwhile.
  if (hipStreamBeginCapture(stream, hipStreamCaptureModeThreadLocal) == hipSuccess) {
    bool queued = true;
    try {
      queue();
    } catch (const Error&) {
      queued = false;  // the plain pass that follows says what is wrong, if anything is
    }
    hipGraph_t graph = nullptr;
    if (hipStreamEndCapture(stream, &graph) == hipSuccess && graph) {
      hipGraphExec_t exec = nullptr;
      if (queued && hipGraphInstantiate(&exec, graph, nullptr, nullptr, 0) == hipSuccess) exec_ = {exec, Forsake{current_device()}};
      (void)hipGraphDestroy(graph);
    }
  }
  if (!exec_) (void)hipGetLastError();  // a refusal is no error
}

void Graph::launch(hipStream_t stream) const { check(hipGraphLaunch(exec_.get(), stream), "launching a graph"); }

}  // namespace rocm
