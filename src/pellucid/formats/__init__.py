"""What a model is stored as: data, never code.

atomic.py files replaced whole   safetensors.py named arrays   model_json.py layers and settings"""
