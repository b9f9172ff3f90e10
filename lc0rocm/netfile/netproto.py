"""The messages of an Lc0 net file (protobuf, proto2, package pblczero), built at import from the table below.

Two liberties keep damaged or foreign files readable:
enumerations are int32, so an unknown value stays visible, and text is bytes, so it need not be UTF-8.
"""
import re

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# Message: fields as `name number type`. [Type] is repeated; without a type a field is a Layer, one array of weights.
_TABLE = """
Net:            magic 1 fixed32, license 2 bytes, min_version 3 EngineVersion, format 4 Format,
                training_params 5 TrainingParams, weights 10 Weights, onnx_model 11 OnnxModel
EngineVersion:  major 1 uint32, minor 2 uint32, patch 3 uint32
Format:         weights_encoding 1 int32, network_format 2 NetworkFormat
TrainingParams: training_steps 1 uint32, learning_rate 2 float, mse_loss 3 float, policy_loss 4 float, accuracy 5 float,
                lc0_params 6 bytes
NetworkFormat:  input 1 int32, output 2 int32, network 3 int32, policy 4 int32, value 5 int32, moves_left 6 int32,
                default_activation 7 int32, smolgen_activation 8 int32, ffn_activation 9 int32, input_embedding 10 int32
OnnxModel:      model 1 bytes, data_type 2 int32, input_planes 3 bytes, output_value 4 bytes, output_wdl 5 bytes,
                output_policy 6 bytes, output_mlh 7 bytes
Layer:          min_val 1 float, max_val 2 float, params 3 bytes, encoding 4 int32, dims 5 [uint32]
ConvBlock:      weights 1, biases 2, bn_means 3, bn_stddivs 4, bn_gammas 5, bn_betas 6
SEunit:         w1 1, b1 2, w2 3, b2 4
Residual:       conv1 1 ConvBlock, conv2 2 ConvBlock, se 3 SEunit
Smolgen:        compress 1, dense1_w 2, dense1_b 3, ln1_gammas 4, ln1_betas 5, dense2_w 6, dense2_b 7, ln2_gammas 8,
                ln2_betas 9
MHA:            q_w 1, q_b 2, k_w 3, k_b 4, v_w 5, v_b 6, dense_w 7, dense_b 8, smolgen 9 Smolgen, rpe_q 10, rpe_k 11,
                rpe_v 12
FFN:            dense1_w 1, dense1_b 2, dense2_w 3, dense2_b 4
EncoderLayer:   mha 1 MHA, ln1_gammas 2, ln1_betas 3, ffn 4 FFN, ln2_gammas 5, ln2_betas 6
PolicyHead:     ip_pol_w 1, ip_pol_b 2, ip2_pol_w 3, ip2_pol_b 4, ip3_pol_w 5, ip3_pol_b 6, ip4_pol_w 7,
                pol_encoder 8 [EncoderLayer], pol_headcount 9 uint32, policy1 10 ConvBlock, policy 11 ConvBlock
ValueHead:      ip_val_w 1, ip_val_b 2, ip1_val_w 3, ip1_val_b 4, ip2_val_w 5, ip2_val_b 6, ip_val_err_w 7, ip_val_err_b 8,
                ip_val_cat_w 9, ip_val_cat_b 10, value 11 ConvBlock
PolicyHeadMap:  key 1 bytes, value 2 PolicyHead
ValueHeadMap:   key 1 bytes, value 2 ValueHead
PolicyHeads:    ip_pol_w 1, ip_pol_b 2, vanilla 3 PolicyHead, optimistic_st 4 PolicyHead, soft 5 PolicyHead,
                opponent 6 PolicyHead, policy_head_map 7 [PolicyHeadMap]
ValueHeads:     winner 1 ValueHead, q 2 ValueHead, st 3 ValueHead, value_head_map 4 [ValueHeadMap]
Weights:        input 1 ConvBlock, residual 2 [Residual], policy 3 ConvBlock, ip_pol_w 4, ip_pol_b 5, value 6 ConvBlock,
                ip1_val_w 7, ip1_val_b 8, ip2_val_w 9, ip2_val_b 10, policy1 11 ConvBlock, moves_left 12 ConvBlock,
                ip1_mov_w 13, ip1_mov_b 14, ip2_mov_w 15, ip2_mov_b 16, ip2_pol_w 17, ip2_pol_b 18, ip3_pol_w 19,
                ip3_pol_b 20, pol_encoder 21 [EncoderLayer], ip4_pol_w 22, pol_headcount 24 uint32, ip_emb_w 25, ip_emb_b 26,
                encoder 27 [EncoderLayer], headcount 28 uint32, ip_val_w 29, ip_val_b 30, ip_mov_w 31, ip_mov_b 32,
                ip_mult_gate 33, ip_add_gate 34, smolgen_w 35, smolgen_b 36, ip_emb_preproc_w 37, ip_emb_preproc_b 38,
                ip_emb_ln_gammas 39, ip_emb_ln_betas 40, ip_emb_ffn 41 FFN, ip_emb_ffn_ln_gammas 42, ip_emb_ffn_ln_betas 43,
                value_heads 44 ValueHeads, policy_heads 45 PolicyHeads
"""


def _build():
    scalar = {name: getattr(descriptor_pb2.FieldDescriptorProto, "TYPE_" + name.upper())
              for name in ("fixed32", "uint32", "int32", "float", "bytes")}
    file = descriptor_pb2.FileDescriptorProto(name="net.proto", package="pblczero", syntax="proto2")
    for name, fields in re.findall(r"^(\w+):(.*?)(?=^\w|\Z)", _TABLE, re.M | re.S):
        message = file.message_type.add(name=name)
        for field in fields.split(","):
            field, number, kind = (field + " Layer").split()[:3]
            label = 3 if kind.startswith("[") else 1  # repeated, optional
            kind = kind.strip("[]")
            if kind in scalar:
                message.field.add(name=field, number=int(number), label=label, type=scalar[kind])
            else:
                message.field.add(name=field, number=int(number), label=label, type=11, type_name=".pblczero." + kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {m.name: message_factory.GetMessageClass(pool.FindMessageTypeByName("pblczero." + m.name))
            for m in file.message_type}


_classes = _build()
Net = _classes["Net"]
NetworkFormat = _classes["NetworkFormat"]

_ACTIVATIONS = {0: "ACTIVATION_DEFAULT", 1: "ACTIVATION_MISH", 2: "ACTIVATION_RELU", 3: "ACTIVATION_NONE",
                4: "ACTIVATION_TANH", 5: "ACTIVATION_SIGMOID", 6: "ACTIVATION_SELU", 7: "ACTIVATION_SWISH",
                8: "ACTIVATION_RELU_2", 9: "ACTIVATION_SOFTMAX"}
# Names of the values, by field name.
ENUMS = {
    "weights_encoding": {0: "UNKNOWN", 1: "LINEAR16"},
    "input": {0: "INPUT_UNKNOWN", 1: "INPUT_CLASSICAL_112_PLANE", 2: "INPUT_112_WITH_CASTLING_PLANE",
              3: "INPUT_112_WITH_CANONICALIZATION", 4: "INPUT_112_WITH_CANONICALIZATION_HECTOPLIES",
              5: "INPUT_112_WITH_CANONICALIZATION_V2", 132: "INPUT_112_WITH_CANONICALIZATION_HECTOPLIES_ARMAGEDDON",
              133: "INPUT_112_WITH_CANONICALIZATION_V2_ARMAGEDDON"},
    "output": {0: "OUTPUT_UNKNOWN", 1: "OUTPUT_CLASSICAL", 2: "OUTPUT_WDL"},
    "network": {0: "NETWORK_UNKNOWN", 1: "NETWORK_CLASSICAL", 2: "NETWORK_SE", 3: "NETWORK_CLASSICAL_WITH_HEADFORMAT",
                4: "NETWORK_SE_WITH_HEADFORMAT", 5: "NETWORK_ONNX", 6: "NETWORK_ATTENTIONBODY_WITH_HEADFORMAT",
                7: "NETWORK_ATTENTIONBODY_WITH_MULTIHEADFORMAT", 134: "NETWORK_AB_LEGACY_WITH_MULTIHEADFORMAT"},
    "policy": {0: "POLICY_UNKNOWN", 1: "POLICY_CLASSICAL", 2: "POLICY_CONVOLUTION", 3: "POLICY_ATTENTION"},
    "value": {0: "VALUE_UNKNOWN", 1: "VALUE_CLASSICAL", 2: "VALUE_WDL", 3: "VALUE_PARAM"},
    "moves_left": {0: "MOVES_LEFT_NONE", 1: "MOVES_LEFT_V1"},
    "default_activation": {0: "DEFAULT_ACTIVATION_RELU", 1: "DEFAULT_ACTIVATION_MISH"},
    "smolgen_activation": _ACTIVATIONS,
    "ffn_activation": _ACTIVATIONS,
    "input_embedding": {0: "INPUT_EMBEDDING_NONE", 1: "INPUT_EMBEDDING_PE_MAP", 2: "INPUT_EMBEDDING_PE_DENSE"},
    "encoding": {0: "UNKNOWN_ENCODING", 1: "LINEAR16", 2: "FLOAT16", 3: "BFLOAT16", 4: "FLOAT32"},
    "data_type": {0: "UNKNOWN_DATATYPE", 1: "FLOAT", 10: "FLOAT16", 16: "BFLOAT16"},
}
