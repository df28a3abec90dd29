# What made this folder, with version 0.1.0 (commit af434f8) and the packages of constraints.txt, in an
# empty folder beside inputs.py. The tests run the lines from "vggexport" to "--json >" again, each
# with what the others left here, and compare. Nothing in this folder is ever written again: a later
# version that is to be held to gets a folder of its own.
set -e
python ../inputs.py
mkdir json models variants
vggexport summary --training --json > json/summary.json
vggexport train --data images --weights first.safetensors --freeze none --batch 6 --dropout 0.1 --max-scale 288 --epochs 10 --learning-rate 3e-6 -o weights.safetensors --json > json/train.json

# The same, killed after some epochs, with two of its files kept: the state, and the best weights.
vggexport train --data images --weights first.safetensors --freeze none --batch 6 --dropout 0.1 --max-scale 288 --epochs 10 --learning-rate 3e-6 -o interrupted.safetensors --json &
until [ -e interrupted.safetensors.checkpoint/state.safetensors ]; do sleep 0.01; done
kill -KILL $!
wait || rm -rf .interrupted.* interrupted.safetensors.checkpoint/.[a-z]*  # what was being written

vggexport calibrate --weights weights.safetensors --calibration-data images --calibration-samples 16 --curve -o ranges.json --json > json/calibrate.json
vggexport export --weights weights.safetensors --ranges ranges.json --precisions float32,float16,dynamic-int8,int8,int8-w4 -o models --json > json/export.json
vggexport onnx --weights weights.safetensors --ranges ranges.json --quantize --opset 13 --input-dtype uint8 --batch 2 -o variants/uint8.onnx --json > json/onnx.json
vggexport tflite --weights weights.safetensors --ranges ranges.json --quantize --full-integer -o variants/full_integer.tflite --json > json/tflite.json
vggexport savedmodel --weights weights.safetensors --input-dtype uint8 --serving -o variants/serving --json > json/savedmodel.json

vggexport inspect models/vgg_d_int8.onnx --require int8 --json > json/inspect-onnx.json
vggexport inspect models/vgg_d_int8-w4.tflite --json > json/inspect-tflite.json
vggexport inspect models/vgg_d_saved_model --json > json/inspect-savedmodel.json

vggexport verify weights.safetensors models/vgg_d.onnx models/vgg_d_float16.onnx models/vgg_d_int8.tflite models/vgg_d_saved_model --data images --images 6 --layers --save-golden golden.npz --json > json/verify.json
vggexport verify first.safetensors models/vgg_d.onnx --data images --images 6 --layers --json > json/verify-failed.json || [ $? = 1 ]
vggexport evaluate models/vgg_d.onnx models/vgg_d_float16.onnx models/vgg_d_int8.tflite --data images --max-drop 100% --json > json/evaluate.json
vggexport benchmark models/vgg_d_int8.onnx models/vgg_d_int8.tflite --threads 1 --runs 4 --duration 0 --launches 1 --baseline models/vgg_d.onnx --max-regression 99% --json > json/benchmark.json

# No int8 ONNX file is in a bundle: what 0.1.0 answered for one was right or not by the processor.
openssl genpkey -algorithm ed25519 -out key.pem
openssl pkey -in key.pem -pubout -out key.pub.pem
vggexport bundle models/vgg_d_float16.onnx --golden golden.npz -o former.zip --json > json/bundle.json
vggexport bundle models/vgg_d_float16.onnx models/vgg_d_int8.tflite --golden golden.npz --report json/export.json --report json/verify.json --report json/evaluate.json --report json/benchmark.json --licence "CC0 1.0" --max-size 1MB --sign key.pem -o release.zip --json > json/bundle-signed.json
rm key.pem
vggexport check-bundle release.zip --public-key key.pub.pem --json > json/check-bundle.json
vggexport diff former.zip release.zip --json > json/diff-bundles.json
vggexport diff models/vgg_d_int8.onnx models/vgg_d_int8.tflite --json > json/diff.json
